//go:build (ppc64 || ppc64le) && !purego

package hwrand

import "testing"

func TestOffer(t *testing.T) {
	for _, announced := range []bool{false, true} {
		m := offer(announced)
		for k, g := range m.generators {
			if want := announced && Kind(k) == Diluted; (g.step != nil) != want || want && (g.name != "DARN" || g.tries != 10) {
				t.Errorf("announced: %v, kind %d: got %+v", announced, k, g)
			}
		}
		if (m.reason == nil) != announced || !announced && m.reason.Error() != "hwrand: no DARN" {
			t.Errorf("announced: %v: %v", announced, m.reason)
		}
	}
}
