package lrng

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/internal/secmem"
	"github.com/lrng-go/lrng/internal/selftest"
	"github.com/lrng-go/lrng/seeding"
)

// Status is a snapshot of a generator: facts and counters, no data. Its fields
// are encoded to JSON under the names of their tags; String returns them for
// people, in the manner of /proc/lrng_type.
//
// Entropy is in bits, lengths are in bytes, times in nanoseconds.
type Status struct {
	DRNG             string `json:"drng"`
	SecurityStrength int    `json:"security_strength"` // bits
	Approved         bool   `json:"approved"`          // one of SP 800-90A
	Conditioner      string `json:"conditioner"`
	ConditionerWidth int    `json:"conditioner_width"` // bits
	Strategy         string `json:"strategy"`

	Level   seeding.Level `json:"level"`
	Closed  bool          `json:"closed"`
	Entropy int           `json:"entropy"` // collected towards the next seed, bits
	Verdict string        `json:"verdict"` // of the strategy on the latest round, in words

	OutputBuffer       int    `json:"output_buffer"` // bytes that a shard makes of the same inputs, no more than 992 of them ahead of need
	OutputBufferReason string `json:"output_buffer_reason"`

	Memory            string `json:"memory"`             // the least grade that state is in: "secret", "locked", "droppable", "private" or "heap"
	MemoryReason      string `json:"memory_reason"`      // why it is not "secret"
	Hardened          bool   `json:"hardened"`           // see Config
	GenerationPage    string `json:"generation_page"`    // where copies of the machine are counted, or why nowhere
	GenerationChanges uint64 `json:"generation_changes"` // of it, noticed so far

	ReseedInterval   time.Duration `json:"reseed_interval"` // negative: before each request
	ReseedRequests   uint64        `json:"reseed_requests"`
	ReseedBits       uint64        `json:"reseed_bits"` // 0: no limit
	MaxWithoutReseed uint64        `json:"max_without_reseed"`

	Rounds       uint64 `json:"rounds"`        // collections from all sources
	Seeds        uint64 `json:"seeds"`         // seeds handed to instances
	SelfTests    uint64 `json:"self_tests"`    // complete runs that passed
	SelfTest     string `json:"self_test"`     // "passed", or what failed
	SeedFailures uint64 `json:"seed_failures"` // seeds that a mechanism refused

	Sources              []SourceStatus   `json:"sources"`
	Instances            []InstanceStatus `json:"instances"` // by shard
	PredictionResistance InstanceStatus   `json:"prediction_resistance"`

	Claim Claim `json:"claim"`
}

// SourceStatus is the state of one entropy source. Requested and Credited are
// those of its last round.
type SourceStatus struct {
	Name       string `json:"name"`
	MaxEntropy int    `json:"max_entropy"` // most credit of one call, bits
	Rate       int    `json:"rate"`        // the same at present: see SetSourceRate
	Available  int    `json:"available"`   // what it could credit now, bits
	Requested  int    `json:"requested"`   // bits
	Credited   int    `json:"credited"`    // bits
	Slow       bool   `json:"slow"`

	Health string        `json:"health"` // in words
	Cost   time.Duration `json:"cost"`   // of its last call
	Error  string        `json:"error,omitempty"`

	// Noise is the running estimate of the min-entropy of the raw noise, once there is one.
	Noise *es.NoiseEstimate `json:"noise,omitempty"`

	Certificate string `json:"certificate,omitempty"` // as declared by whoever configured it
	Uncredited  string `json:"uncredited,omitempty"`  // why it is not credited here

	Calls         uint64        `json:"calls"`
	Skipped       uint64        `json:"skipped"`      // not called, since the last call had not returned
	Failures      uint64        `json:"failures"`     // calls that returned an error or panicked
	Late          uint64        `json:"late"`         // calls that returned when nobody waited any more
	FalseClaims   uint64        `json:"false_claims"` // credits beyond what was declared or possible
	TotalCredited uint64        `json:"total_credited"`
	TotalCost     time.Duration `json:"total_cost"`
}

// States of the health of a source.
const (
	healthUntried     = "not yet asked"
	healthPassed      = "tests passed"
	healthNone        = "no tests"
	healthUnavailable = "unavailable"
	healthFailed      = "no entropy"
	healthAlarm       = "test failed"
	healthPermanent   = "failed for good"
)

// note records an answer. The caller holds the lock of the source.
func (s *SourceStatus) note(a answer, health, text string, late bool, took time.Duration) {
	s.Credited = a.credit
	s.TotalCredited += uint64(a.credit)
	s.Cost = took
	s.TotalCost += took
	if late {
		s.Late++
	}
	s.Health, s.Error = health, text
	if text != "" {
		s.Failures++
	}
}

// judge returns what the end of a call says of the health of the source, and its
// error as text, which is empty if and only if there is none.
func judge(info es.Info, err error) (health, text string) {
	switch {
	case err == nil && info.Health:
		return healthPassed, ""
	case err == nil:
		return healthNone, ""
	}
	if text = err.Error(); text == "" {
		text = "lrng: source returned an error without text"
	}
	var alarm *es.HealthError
	switch {
	case errors.As(err, &alarm) && alarm.Permanent:
		return healthPermanent, text
	case alarm != nil:
		return healthAlarm, text
	case errors.Is(err, es.ErrUnavailable):
		return healthUnavailable, text
	}
	return healthFailed, text
}

// InstanceStatus is the state of one deterministic generator.
type InstanceStatus struct {
	Memory     string    `json:"memory"` // its grade, as in Status
	Seeded     bool      `json:"seeded"`
	Seeds      uint64    `json:"seeds"`
	LastSeed   time.Time `json:"last_seed,omitzero"`
	LastCredit int       `json:"last_credit"` // of the last seed, bits

	Requests      uint64 `json:"requests"`        // in all
	Bytes         uint64 `json:"bytes"`           // in all
	SinceSeed     uint64 `json:"since_seed"`      // requests
	BitsSinceSeed uint64 `json:"bits_since_seed"` // of output
	Lost          uint64 `json:"lost"`            // seeds that came to a limit, or that a clone of the machine has, too
	Unmixed       uint64 `json:"unmixed"`         // times that the operating system gave no fresh bytes
}

// seeded records a seed.
func (s *InstanceStatus) seeded(credit int) {
	s.Seeds++
	s.LastSeed = time.Now()
	s.LastCredit = credit
}

// Status returns the state of the generator and its sources. It does not wait
// for a collection.
func (r *RNG) Status() Status {
	m := r.mech.Load()
	st := Status{
		DRNG:               m.info.Name,
		SecurityStrength:   m.info.SecurityStrength,
		Approved:           m.info.Approved,
		Conditioner:        r.conditioner().Name(),
		ConditionerWidth:   r.conditioner().Width(),
		Strategy:           r.cfg.Strategy.Name(),
		Level:              r.currentLevel(),
		Entropy:            int(r.stats.entropy.Load()),
		OutputBuffer:       m.ahead,
		OutputBufferReason: m.aheadWhy,
		ReseedInterval:     r.cfg.ReseedInterval,
		ReseedRequests:     m.due,
		ReseedBits:         r.cfg.ReseedBits,
		MaxWithoutReseed:   m.most,
		Rounds:             r.stats.rounds.Load(),
		Seeds:              r.stats.seeds.Load(),
		SelfTests:          r.stats.tests.Load(),
		SelfTest:           "passed",
		SeedFailures:       r.stats.failures.Load(),
		Hardened:           r.cfg.Hardened,
		GenerationPage:     r.twins.describe(),
		GenerationChanges:  r.twins.changes.Load(),
	}
	if m.watched && r.twins.page.Load() == nil {
		st.OutputBuffer, st.OutputBufferReason = 0, "the page that counts copies of the machine cannot be used any more; "+freshRequests
	}
	if err := selftest.Failed(); err != nil {
		st.SelfTest = err.Error()
	}
	for _, s := range r.sources {
		available := 0
		guard(func() { available = s.Available(m.info.SecurityStrength) })
		noise := s.estimate()
		s.mu.Lock()
		row := s.status
		row.Rate = s.most
		s.mu.Unlock()
		row.Noise = noise
		row.Name, row.MaxEntropy, row.Slow = s.info.Name, s.info.MaxEntropy, s.info.Slow
		row.Available = max(0, min(available, row.Rate))
		if row.Health == "" {
			row.Health = healthUntried
		}
		st.Sources = append(st.Sources, row)
	}
	grade := secmem.Secret
	for i := range r.shards.Len() {
		h := r.shards.LockIndex(i)
		row := h.Value.status()
		row.Memory = h.Value.grade.String()
		grade = min(grade, h.Value.grade)
		row.Seeded = h.Value.seeded
		row.SinceSeed, row.BitsSinceSeed = h.Value.requests, h.Value.bits
		h.Unlock()
		st.Instances = append(st.Instances, row)
	}
	st.Memory, st.MemoryReason = r.memoryStatus(grade)
	st.Claim = r.claim()
	r.mu.Lock()
	st.PredictionResistance = r.prStatus
	st.PredictionResistance.Memory = secmem.Grade(r.prGrade.Load()).String()
	st.Verdict = r.verdict
	st.Closed = r.closed
	r.mu.Unlock()
	return st
}

// String returns the status for people to read.
func (s Status) String() string {
	seeded := 0
	for _, in := range s.Instances {
		if in.Seeded {
			seeded++
		}
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("DRNG name: %s", s.DRNG)
	line("LRNG security strength in bits: %d", s.SecurityStrength)
	line("Number of DRNG instances: %d, %d of them seeded", len(s.Instances), seeded)
	line("Conditioner: %s, %d bits wide", s.Conditioner, s.ConditionerWidth)
	line("Seeding strategy: %s", s.Strategy)
	line("Latest verdict: %s", s.Verdict)
	line("LRNG level: %v", s.Level)
	line("LRNG minimally seeded: %v", s.Level >= seeding.MinimallySeeded)
	line("LRNG fully seeded: %v", s.Level >= seeding.FullySeeded)
	line("LRNG entropy level: %d", s.Entropy)
	line("Reseed: %s", s.Claim.ReseedFrequency)
	line("Output ahead of need: %d bytes (%s)", min(s.OutputBuffer, refillSize), s.OutputBufferReason)
	if s.MemoryReason == "" {
		line("Memory: %s", s.Memory)
	} else {
		line("Memory: %s (%s)", s.Memory, s.MemoryReason)
	}
	if s.Hardened {
		line("Hardened: no signals while state is in registers")
	}
	line("Copies of the machine: %d noticed (%s)", s.GenerationChanges, s.GenerationPage)
	line("Self-tests: %s", s.SelfTest)
	line("Seeds: %d from %d rounds", s.Seeds, s.Rounds)
	if s.Closed {
		line("Closed: true")
	}
	for i, e := range s.Sources {
		line("Entropy Source %d properties:", i)
		line(" Name: %s", e.Name)
		line(" Requested entropy: %d", e.Requested)
		line(" Credited entropy: %d", e.Credited)
		line(" Maximum entropy: %d", e.MaxEntropy)
		if e.Rate != e.MaxEntropy {
			line(" Rate at present: %d", e.Rate)
		}
		line(" Available entropy: %d", e.Available)
		line(" Health: %s", e.Health)
		if n := e.Noise; n != nil {
			warning := ""
			if n.Warning {
				warning = ": below the claim"
			}
			line(" Noise: %.3g bits a sample by the most common value, claim %.3g%s", n.MinEntropy, n.Claim, warning)
		}
		line(" Time: %v", e.Cost)
		if e.Certificate != "" {
			line(" Certificate: %s (as declared)", e.Certificate)
		}
		if e.Uncredited != "" {
			line(" Uncredited: %s", e.Uncredited)
		}
		if e.Error != "" {
			line(" Error: %s", e.Error)
		}
	}
	s.Claim.write(line)
	return b.String()
}
