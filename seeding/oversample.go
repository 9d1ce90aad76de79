package seeding

// Margins of SP 800-90C and of ESDM's reading of it, in bits.
const (
	// firstSeedMargin: an instantiation takes 3/2 of the security strength, 384 bits
	// for 256 (SP 800-90C, Section 2.6; SP 800-90A, Section 8.6.7). ESDM adds 128 to
	// smaller strengths, too.
	firstSeedMargin = 128

	// fullEntropyMargin: what goes into a conditioning component beyond what comes out
	// of it with full entropy (SP 800-90C, Section 3.2.2.2), and into a reseed beyond
	// the output that follows it with full entropy (Section 6.5).
	fullEntropyMargin = 64

	// oversampleWidth: a narrower hash cannot hold a first seed.
	oversampleWidth = 384
)

// Oversample is the strategy for SP 800-90C. A first seed takes s + 128 bits, where s
// is the security strength (or 3/2 of it, if that is more), of which each source is asked for all; a reseed takes s; a
// reseed for prediction resistance takes s + 64, after which s bits are output.
// Conditioning components take in 64 bits more than they are credited with, and must
// be at least 384 bits wide: a generator with a narrower conditioner is refused.
//
// Of sources that share a boundary (see [es.Info]) the best one counts.
var Oversample Strategy = oversample{}

type oversample struct{}

func (oversample) Name() string { return "SP 800-90C oversampling" }

func (oversample) Request(strength int, st Stage) int {
	switch st {
	case Initial:
		return max(strength+firstSeedMargin, strength*3/2)
	case PredictionResistance:
		return strength + fullEntropyMargin
	}
	return strength
}

func (o oversample) Level(credits []Credit, strength int, st Stage) Level {
	return levelOf(Sum(credits), o.Request(strength, st))
}

func (o oversample) Explain(credits []Credit, strength int, st Stage) string {
	return explainSum(o.Name(), Sum(credits), o.Request(strength, st), st)
}

func (oversample) Conditioning() (margin, width int) { return fullEntropyMargin, oversampleWidth }
