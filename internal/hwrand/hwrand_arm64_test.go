//go:build !purego

package hwrand

import "testing"

// RNDR and RNDRRS come together, and the reseeded one is the better.
func TestOffer(t *testing.T) {
	m := offer(false)
	for _, g := range m.generators {
		if g.step != nil {
			t.Errorf("not announced: got %s", g.name)
		}
	}
	if m.reason == nil || m.reason.Error() != "hwrand: no RNDR" {
		t.Errorf("not announced: %v", m.reason)
	}

	m = offer(true)
	seed, drbg := m.generators[Seed], m.generators[DRBG]
	if m.reason != nil || seed.step == nil || seed.name != "RNDRRS" || seed.tries != 10 || drbg.step == nil || drbg.name != "RNDR" || drbg.tries != 10 {
		t.Errorf("announced: got %+v", m)
	}
	if m.generators[None].step != nil || m.generators[Diluted].step != nil {
		t.Errorf("announced: got also %+v", m)
	}
}
