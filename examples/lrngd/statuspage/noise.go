package statuspage

import (
	"fmt"
	"time"

	"github.com/lrng-go/lrng/es"
)

// noiseSamples is the number of samples of a histogram. The jitter source needs 20 to 40 ms
// for them.
const noiseSamples = 4096

// Noise are raw samples of a source.
type Noise struct {
	Samples    []byte             // one a byte
	Parameters es.NoiseParameters // how they came about
}

// Own returns a function for Config.Noise that takes 4096 samples from the one of the given
// sources that has the name. They must be instances of their own: no generator may have
// them, now or later. A new set of the default ones is lrng.DefaultSources().
//
// Sources that do not open their noise have none. The function does not close the sources.
func Own(sources ...es.Source) func(source string) (Noise, error) {
	byName := make(map[string]es.NoiseSource)
	for _, s := range sources {
		if n, ok := s.(es.NoiseSource); ok {
			byName[s.Info().Name] = n
		}
	}
	return func(source string) (n Noise, err error) {
		src, ok := byName[source]
		if !ok {
			return Noise{}, nil
		}
		n.Samples = make([]byte, noiseSamples)
		for done := 0; done < len(n.Samples); {
			got, err := src.GetNoise(n.Samples[done:])
			if err != nil {
				return Noise{}, err
			}
			if got <= 0 {
				return Noise{}, fmt.Errorf("no more noise after %d samples", done)
			}
			done += got
		}
		if d, ok := src.(interface{ NoiseParameters() es.NoiseParameters }); ok {
			n.Parameters = d.NoiseParameters()
		}
		return n, nil
	}
}

// A histogram says how often each value came among the raw samples of a source.
type histogram struct {
	Source     string             `json:"source"`
	Time       int64              `json:"time"` // milliseconds since 1970
	Samples    int                `json:"samples"`
	Counts     []int              `json:"counts,omitempty"` // 256 of them
	Parameters es.NoiseParameters `json:"parameters"`
	Error      string             `json:"error,omitempty"`
}

// noise returns the histograms, which it takes anew if they are old enough. Only one
// request does that; others get the old ones meanwhile.
func (p *Page) noise() []histogram {
	if p.cfg.Noise != nil && p.sampling.TryLock() {
		defer p.sampling.Unlock()
		if p.taken.IsZero() || time.Since(p.taken) >= p.cfg.NoiseInterval*9/10 {
			histograms := p.takeNoise()
			p.taken = time.Now()
			p.mu.Lock()
			p.histograms = histograms
			p.mu.Unlock()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.histograms
}

// takeNoise returns a histogram of each source that has noise to show, or an error to show
// in its place. The samples themselves go no further.
func (p *Page) takeNoise() []histogram {
	histograms := []histogram{}
	for _, s := range p.cfg.Status().Sources {
		n, err := p.cfg.Noise(s.Name)
		if err == nil && len(n.Samples) == 0 {
			continue
		}
		h := histogram{Source: s.Name, Time: time.Now().UnixMilli(), Parameters: n.Parameters}
		if err != nil {
			h.Error = err.Error()
		} else {
			h.Samples, h.Counts = len(n.Samples), make([]int, 256)
			for _, symbol := range n.Samples {
				h.Counts[symbol]++
			}
		}
		clear(n.Samples)
		histograms = append(histograms, h)
	}
	return histograms
}
