package main

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lrng-go/lrng"
)

// A Collector is a prometheus.Collector of the status of a generator. Each scrape takes one
// snapshot; nothing is kept and nothing runs in between.
//
// Entropy is in bits, as everywhere in lrng. The names do not say so: in Prometheus "bits"
// are data, for which the unit is bytes.
//
// There are 27 series, and 14 or 17 for each source. Shards are added up: there may be as
// many as processors.
type Collector struct{ status func() lrng.Status }

// NewCollector returns the collector of a generator: NewCollector(r.Status). For more
// than one generator register each with prometheus.WrapRegistererWith and a label.
func NewCollector(status func() lrng.Status) *Collector { return &Collector{status} }

// A metric has a value for each thing that it is about.
type metric[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(T) float64
}

func newMetric[T any](name, help string, kind prometheus.ValueType, value func(T) float64, labels ...string) metric[T] {
	return metric[T]{prometheus.NewDesc("lrng_"+name, help, labels, nil), kind, value}
}

func (m metric[T]) collect(ch chan<- prometheus.Metric, of T, labels ...string) {
	ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(of), labels...)
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var info = prometheus.NewDesc("lrng_info", "What the generator is made of; always 1.",
	[]string{"drng", "conditioner", "strategy", "memory", "approved", "fips"}, nil)

// generator are the metrics of the whole.
var generator = []metric[*lrng.Status]{
	newMetric("level", "How well it is seeded: 0 unseeded, 1 initially (32 bits), 2 minimally (128 bits), 3 fully. There is no output below 3.", gauge,
		func(s *lrng.Status) float64 { return float64(s.Level) }),
	newMetric("closed", "Whether it was closed.", gauge,
		func(s *lrng.Status) float64 { return truth(s.Closed) }),
	newMetric("self_test_passed", "Whether all self-tests have passed so far. A failure is final for the process.", gauge,
		func(s *lrng.Status) float64 { return truth(s.SelfTest == "passed") }),
	newMetric("security_strength", "Security strength of the mechanism, in bits.", gauge,
		func(s *lrng.Status) float64 { return float64(s.SecurityStrength) }),
	newMetric("collected_entropy", "Entropy collected towards the next seed, in bits.", gauge,
		func(s *lrng.Status) float64 { return float64(s.Entropy) }),
	newMetric("output_buffer_bytes", "Output that each shard makes of the same inputs, up to 992 bytes ahead of need.", gauge,
		func(s *lrng.Status) float64 { return float64(s.OutputBuffer) }),
	newMetric("shards", "Number of generator instances.", gauge,
		func(s *lrng.Status) float64 { return float64(len(s.Instances)) }),
	newMetric("rounds_total", "Collections from all sources.", counter,
		func(s *lrng.Status) float64 { return float64(s.Rounds) }),
	newMetric("seeds_total", "Seeds handed to instances.", counter,
		func(s *lrng.Status) float64 { return float64(s.Seeds) }),
	newMetric("seed_failures_total", "Seeds that the mechanism refused.", counter,
		func(s *lrng.Status) float64 { return float64(s.SeedFailures) }),
	newMetric("self_tests_total", "Complete runs of the self-tests that passed.", counter,
		func(s *lrng.Status) float64 { return float64(s.SelfTests) }),
	newMetric("machine_copies_total", "Copies of the virtual machine that were noticed.", counter,
		func(s *lrng.Status) float64 { return float64(s.GenerationChanges) }),
}

// A part is what serves one kind of requests: all shards, or the instance for prediction
// resistance.
type part struct {
	lrng.InstanceStatus // counters are sums, LastSeed is the latest
	seeded              int
}

// parts are the metrics of the instances.
var parts = []metric[part]{
	newMetric("seeded_instances", "Instances that have a seed.", gauge,
		func(p part) float64 { return float64(p.seeded) }, "part"),
	newMetric("last_seed_timestamp_seconds", "When the latest seed was handed over, in Unix time; 0 if there was none.", gauge,
		func(p part) float64 {
			if p.LastSeed.IsZero() {
				return 0
			}
			return float64(p.LastSeed.UnixNano()) / 1e9
		}, "part"),
	newMetric("instance_seeds_total", "Seeds.", counter,
		func(p part) float64 { return float64(p.Seeds) }, "part"),
	newMetric("requests_total", "Requests that were served. A long read is one for each 4096 bytes.", counter,
		func(p part) float64 { return float64(p.Requests) }, "part"),
	newMetric("output_bytes_total", "Output.", counter,
		func(p part) float64 { return float64(p.Bytes) }, "part"),
	newMetric("lost_seeds_total", "Seeds that came to a limit, or that a copy of the machine has, too.", counter,
		func(p part) float64 { return float64(p.Lost) }, "part"),
	newMetric("unmixed_requests_total", "Requests for which the operating system gave no fresh bytes.", counter,
		func(p part) float64 { return float64(p.Unmixed) }, "part"),
}

var (
	sourceInfo = prometheus.NewDesc("lrng_source_info", "Facts about an entropy source; always 1.",
		[]string{"source", "certificate", "uncredited"}, nil)
	sourceHealth = prometheus.NewDesc("lrng_source_health", "The state of health of an entropy source, as a label; always 1.",
		[]string{"source", "health"}, nil)
)

// sources are the metrics of each entropy source.
var sources = []metric[*lrng.SourceStatus]{
	newMetric("source_max_entropy", "Most credit of one call, as declared, in bits.", gauge,
		func(s *lrng.SourceStatus) float64 { return float64(s.MaxEntropy) }, "source"),
	newMetric("source_rate", "Most credit of one call at present, in bits.", gauge,
		func(s *lrng.SourceStatus) float64 { return float64(s.Rate) }, "source"),
	newMetric("source_available_entropy", "What it could credit now, in bits.", gauge,
		func(s *lrng.SourceStatus) float64 { return float64(s.Available) }, "source"),
	newMetric("source_last_requested_entropy", "What it was asked for last, in bits.", gauge,
		func(s *lrng.SourceStatus) float64 { return float64(s.Requested) }, "source"),
	newMetric("source_last_credited_entropy", "What it was credited with last, in bits.", gauge,
		func(s *lrng.SourceStatus) float64 { return float64(s.Credited) }, "source"),
	newMetric("source_credited_entropy_total", "What it was credited with in all, in bits.", counter,
		func(s *lrng.SourceStatus) float64 { return float64(s.TotalCredited) }, "source"),
	newMetric("source_calls_total", "Calls.", counter,
		func(s *lrng.SourceStatus) float64 { return float64(s.Calls) }, "source"),
	newMetric("source_skipped_total", "Times that it was not called, since the last call had not returned.", counter,
		func(s *lrng.SourceStatus) float64 { return float64(s.Skipped) }, "source"),
	newMetric("source_failures_total", "Calls that returned an error or panicked.", counter,
		func(s *lrng.SourceStatus) float64 { return float64(s.Failures) }, "source"),
	newMetric("source_late_total", "Calls that returned when nobody waited any more.", counter,
		func(s *lrng.SourceStatus) float64 { return float64(s.Late) }, "source"),
	newMetric("source_false_claims_total", "Credits beyond what was declared or possible.", counter,
		func(s *lrng.SourceStatus) float64 { return float64(s.FalseClaims) }, "source"),
	newMetric("source_duration_seconds_total", "Time that its calls took.", counter,
		func(s *lrng.SourceStatus) float64 { return s.TotalCost.Seconds() }, "source"),
}

// noises are the metrics of each entropy source that estimates the min-entropy of its raw
// noise, once it has an estimate.
var noises = []metric[*lrng.SourceStatus]{
	newMetric("source_noise_min_entropy", "Running estimate of the min-entropy of a raw sample, in bits.", gauge,
		func(s *lrng.SourceStatus) float64 { return s.Noise.MinEntropy }, "source"),
	newMetric("source_noise_claim", "Min-entropy that is claimed for a raw sample, in bits.", gauge,
		func(s *lrng.SourceStatus) float64 { return s.Noise.Claim }, "source"),
	newMetric("source_noise_warning", "Whether the estimate is below the claim by more than chance explains.", gauge,
		func(s *lrng.SourceStatus) float64 { return truth(s.Noise.Warning) }, "source"),
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- info
	for _, m := range generator {
		ch <- m.desc
	}
	for _, m := range parts {
		ch <- m.desc
	}
	ch <- sourceInfo
	ch <- sourceHealth
	for _, m := range sources {
		ch <- m.desc
	}
	for _, m := range noises {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector. It does not wait for a collection of entropy.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	st := c.status()
	ch <- prometheus.MustNewConstMetric(info, gauge, 1, st.DRNG, st.Conditioner, st.Strategy, st.Memory,
		strconv.FormatBool(st.Approved), strconv.FormatBool(st.Claim.FIPS))
	for _, m := range generator {
		m.collect(ch, &st)
	}
	shards, fresh := sum(st.Instances...), sum(st.PredictionResistance)
	for _, m := range parts {
		m.collect(ch, shards, "shards")
		m.collect(ch, fresh, "prediction_resistance")
	}
	for i := range st.Sources {
		s := &st.Sources[i]
		ch <- prometheus.MustNewConstMetric(sourceInfo, gauge, 1, s.Name, s.Certificate, s.Uncredited)
		ch <- prometheus.MustNewConstMetric(sourceHealth, gauge, 1, s.Name, s.Health)
		for _, m := range sources {
			m.collect(ch, s, s.Name)
		}
		if s.Noise != nil {
			for _, m := range noises {
				m.collect(ch, s, s.Name)
			}
		}
	}
}

// sum adds up instances.
func sum(instances ...lrng.InstanceStatus) (p part) {
	for _, in := range instances {
		p.Seeds += in.Seeds
		p.Requests += in.Requests
		p.Bytes += in.Bytes
		p.Lost += in.Lost
		p.Unmixed += in.Unmixed
		if in.Seeded {
			p.seeded++
		}
		if in.LastSeed.After(p.LastSeed) {
			p.LastSeed = in.LastSeed
		}
	}
	return p
}
