package lrng

import (
	"errors"
	"fmt"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/drng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/internal/fips"
)

// FIPSMode says whether a generator keeps to what FIPS 140-3 allows.
//
// In FIPS mode the default mechanism is CTR_DRBG with AES-256; mechanisms and
// conditioners of lrng use nothing but the primitives of the Go Cryptographic
// Module; and a source is credited only if it has health tests on its raw noise, or
// if somebody has declared a certificate for it ([es.Certified]). So the generator of
// the operating system is credited 0 unless [es.OSConfig].Certificate is set, and
// what [RNG.AddEntropy] brings is credited 0 always. Sources without credit still go
// into each seed, as additional input.
//
// lrng is designed to be used in a module that meets FIPS 140-3. It is not
// validated.
type FIPSMode int

const (
	// FIPSAuto follows the program: FIPS mode is on if crypto/fips140 is enabled.
	// What is set in the Config explicitly and is not approved is used all the
	// same, unless crypto/fips140 is enforced; the Status says so.
	FIPSAuto FIPSMode = iota

	// FIPSRequired insists: New returns an error, by name, if crypto/fips140 is
	// not enabled, or if the mechanism or the conditioner is not approved.
	FIPSRequired

	// FIPSOff leaves FIPS mode off. It is an error if crypto/fips140 is enforced.
	FIPSOff
)

var fipsNames = [...]string{"auto", "required", "off"}

// String returns "auto", "required" or "off".
func (m FIPSMode) String() string {
	if m < 0 || int(m) >= len(fipsNames) {
		return fmt.Sprintf("FIPSMode(%d)", int(m))
	}
	return fipsNames[m]
}

// fipsPolicy is what a FIPSMode means in this process.
type fipsPolicy struct {
	on     bool // FIPS mode
	strict bool // what is not approved is refused
}

func (m FIPSMode) policy() (fipsPolicy, error) {
	switch m {
	case FIPSAuto:
		return fipsPolicy{on: fips.Enabled(), strict: fips.Enforced()}, nil
	case FIPSRequired:
		if !fips.Enabled() {
			return fipsPolicy{}, errors.New("lrng: Config.FIPS: required, but crypto/fips140 is not enabled in this program (GODEBUG=fips140=on)")
		}
		return fipsPolicy{on: true, strict: true}, nil
	case FIPSOff:
		if fips.Enforced() {
			return fipsPolicy{}, errors.New("lrng: Config.FIPS: off, but crypto/fips140 is enforced in this program (GODEBUG=fips140=only)")
		}
		return fipsPolicy{}, nil
	}
	return fipsPolicy{}, fmt.Errorf("lrng: Config.FIPS: %v is not defined", m)
}

// checkMechanism refuses a mechanism that the policy does not allow.
func (p fipsPolicy) checkMechanism(info drng.Info) error {
	if p.strict && !info.Approved {
		return fmt.Errorf("%s is not a mechanism of SP 800-90A, and FIPS 140-3 mode is required", info.Name)
	}
	return nil
}

// checkConditioner refuses a conditioner that the policy does not allow.
func (p fipsPolicy) checkConditioner(c conditioner.Conditioner) error {
	if !p.strict {
		return nil
	}
	for _, approved := range []conditioner.Conditioner{
		conditioner.SHA256, conditioner.SHA384, conditioner.SHA512,
		conditioner.SHA3_256, conditioner.SHA3_384, conditioner.SHA3_512,
	} {
		if c == approved {
			return nil
		}
	}
	return fmt.Errorf("%s is not a hash function of the Go Cryptographic Module, and FIPS 140-3 mode is required", c.Name())
}

// credit says whether the policy lets a source be credited, and if not, why.
func (p fipsPolicy) credit(info es.Info, certificate string) (ok bool, why string) {
	switch {
	case !p.on:
		return true, ""
	case info.Health || certificate != "":
		return true, ""
	}
	return false, "FIPS 140-3 mode: neither health tests on raw noise nor a certificate"
}

// certificate returns the certificate that was declared for a source, or "".
func certificate(s es.Source) string {
	if c, ok := s.(es.Certified); ok {
		return c.Certificate()
	}
	return ""
}
