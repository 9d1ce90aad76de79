//go:build !purego

package hwrand

import "testing"

// T4, and the rule that nothing is executed that is not announced.
func TestOffer(t *testing.T) {
	for _, tt := range []struct {
		rdseed, rdrand bool
		amd            int
		wantSeed       bool
		wantDRBG       bool
		reason         string
	}{
		{true, true, 0, true, true, ""},
		{true, false, 0, true, false, ""},
		{false, true, 0, false, true, ""},
		{false, false, 0, false, false, "hwrand: no RDSEED or RDRAND"},
		{true, true, 0x1a, true, true, ""},
		{true, true, 0x17, true, true, ""},
		{false, true, 0x17, false, true, ""},
		{true, true, 0x16, false, false, "hwrand: the generator of AMD family 0x16 is known to be faulty"},
		{false, true, 0x15, false, false, "hwrand: the generator of AMD family 0x15 is known to be faulty"},
		{false, true, 1, false, false, "hwrand: the generator of AMD family 0x1 is known to be faulty"},
		{false, false, 0x15, false, false, "hwrand: no RDSEED or RDRAND"},
		{false, false, 0x19, false, false, "hwrand: no RDSEED or RDRAND"},
	} {
		m := offer(tt.rdseed, tt.rdrand, tt.amd)
		if (m.generators[Seed].step != nil) != tt.wantSeed || (m.generators[DRBG].step != nil) != tt.wantDRBG || m.generators[None].step != nil {
			t.Errorf("%+v: got %+v", tt, m)
		}
		if reason := ""; m.reason != nil {
			reason = m.reason.Error()
			if reason != tt.reason {
				t.Errorf("%+v: reason %q", tt, reason)
			}
		} else if tt.reason != "" {
			t.Errorf("%+v: no reason", tt)
		}
		if g := m.generators[Seed]; tt.wantSeed && (g.name != "RDSEED" || g.tries != 24) {
			t.Errorf("%+v: %s with %d tries", tt, g.name, g.tries)
		}
		if g := m.generators[DRBG]; tt.wantDRBG && (g.name != "RDRAND" || g.tries != 10) {
			t.Errorf("%+v: %s with %d tries", tt, g.name, g.tries)
		}
	}
}
