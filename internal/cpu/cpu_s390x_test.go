//go:build !purego

package cpu

import "testing"

// The CPU answers the query for as many functions as it has: at least the query
// itself is among them, function 0.
func TestPRNOQuery(t *testing.T) {
	facilities := stfle()
	if facilities>>(63-1)&1 == 0 || facilities>>(63-2)&1 == 0 {
		t.Fatalf("facilities %#x: not z/Architecture", facilities)
	}
	if facilities>>(63-57)&1 == 0 {
		t.Log("this machine has no PRNO to query")
		return
	}
	if functions := prnoQuery(); functions[0]>>63 == 0 {
		t.Errorf("functions %#x: no query", functions)
	}
}
