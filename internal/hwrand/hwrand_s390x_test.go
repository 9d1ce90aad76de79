//go:build !purego

package hwrand

import "testing"

func TestOffer(t *testing.T) {
	for _, announced := range []bool{false, true} {
		m := offer(announced)
		for k, g := range m.generators {
			if want := announced && Kind(k) == Seed; (g.step != nil) != want || want && (g.name != "PRNO-TRNG" || g.tries != 1) {
				t.Errorf("announced: %v, kind %d: got %+v", announced, k, g)
			}
		}
		if (m.reason == nil) != announced || !announced && m.reason.Error() != "hwrand: no TRNG of PRNO" {
			t.Errorf("announced: %v: %v", announced, m.reason)
		}
	}
}
