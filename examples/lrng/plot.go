package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strings"

	"github.com/lrng-go/lrng/es/assess"
)

// Measures of a plot, in pixels.
const (
	plotWidth   = 960
	plotMargin  = 72 // to the left of the axes
	panelHeight = 220
	panelWidth  = plotWidth - plotMargin - 32
	plotLags    = 64 // of the autocorrelation
)

// A canvas is an SVG drawing that grows downwards.
type canvas struct {
	bytes.Buffer
	y float64
}

func (c *canvas) text(x, y float64, class, format string, args ...any) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" class="%s">%s</text>`+"\n", x, y, class, html.EscapeString(fmt.Sprintf(format, args...)))
}

func (c *canvas) rect(x, y, w, h float64, class, title string) {
	fmt.Fprintf(c, `<rect x="%.2f" y="%.2f" width="%.2f" height="%.2f" class="%s"><title>%s</title></rect>`+"\n", x, y, w, h, class, html.EscapeString(title))
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(c, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

// plot draws the distribution of the samples, their autocorrelation and the estimates,
// as an SVG file.
func plot(r *result, samples []byte) []byte {
	c := &canvas{y: 40}
	n := r.NonIID
	name := r.File
	if name == "-" {
		name = "standard input"
	}
	c.text(plotMargin, c.y, "title", "%s", name)
	c.y += 22
	c.text(plotMargin, c.y, "note", "%d samples of %d bits, %d distinct; assessed min-entropy %.4f bits a sample", n.Samples, n.Bits, n.Symbols, n.MinEntropy)
	c.distribution(samples, n.Bits)
	c.autocorrelation(samples)
	c.estimates(n)
	for _, w := range r.Warnings {
		c.text(plotMargin, c.y, "warning", "warning: %s", w)
		c.y += 18
	}
	c.y += 12

	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" viewBox="0 0 %d %.0f" role="img">`+"\n", plotWidth, c.y, plotWidth, c.y)
	fmt.Fprintf(&out, "<title>%s</title>\n", html.EscapeString("Assessment of "+name))
	out.WriteString(`<style>
text { font: 13px "DejaVu Sans", Verdana, sans-serif; fill: #1f2933 }
.title { font-size: 20px; font-weight: bold }
.head { font-size: 15px; font-weight: bold }
.note { fill: #52606d }
.warning { fill: #9b1c1c }
.tick { font-size: 11px; fill: #52606d }
.end { font-size: 11px; fill: #52606d; text-anchor: end }
.mid { font-size: 11px; fill: #52606d; text-anchor: middle }
.label { text-anchor: end }
.grid { stroke: #e4e7eb; stroke-width: 1 }
.axis { stroke: #7b8794; stroke-width: 1 }
.bound { stroke: #c05621; stroke-width: 1; stroke-dasharray: 5 4 }
.bar { fill: #2b6cb0 }
.bits { fill: #90b4da }
.least { fill: #c05621 }
.paper { fill: #ffffff }
</style>
`)
	fmt.Fprintf(&out, `<rect width="%d" height="%.0f" class="paper"/>`+"\n", plotWidth, c.y)
	out.Write(c.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// panel starts a panel: a heading and a grid with marks at the given values, of which the
// first is at the bottom and the last at the top. It returns where a value is.
func (c *canvas) panel(heading string, format string, marks []float64) (place func(v float64) float64) {
	c.y += 44
	c.text(plotMargin, c.y, "head", "%s", heading)
	c.y += 16
	top, low, high := c.y, marks[0], marks[len(marks)-1]
	place = func(v float64) float64 { return top + panelHeight*(high-v)/(high-low) }
	for _, v := range marks {
		c.line(plotMargin, place(v), plotMargin+panelWidth, place(v), "grid")
		c.text(plotMargin-8, place(v)+4, "end", format, v)
	}
	c.y += panelHeight
	return place
}

// steps returns round marks from 0 to at least the given value.
func steps(most float64) []float64 {
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for _, f := range []float64{0.2, 0.25, 0.5, 1, 2} {
		if most/(step*f) <= 5 {
			step *= f
			break
		}
	}
	marks := []float64{0}
	for i := 1.0; marks[len(marks)-1] < most; i++ {
		marks = append(marks, i*step)
	}
	return marks
}

// distribution draws how often each symbol occurs.
func (c *canvas) distribution(samples []byte, bits int) {
	var count [256]int
	most := 0
	for _, s := range samples {
		count[s]++
		most = max(most, count[s])
	}
	k := 1 << bits
	n := float64(len(samples))
	place := c.panel("Distribution of the symbols, in percent", "%.4g", steps(100*float64(most)/n))
	width := float64(panelWidth) / float64(k)
	bar := min(0.84*width, 80)
	for s, m := range count[:k] {
		if m > 0 {
			part := 100 * float64(m) / n
			y := place(part)
			c.rect(plotMargin+(float64(s)+0.5)*width-bar/2, y, bar, c.y-y, "bar", fmt.Sprintf("%d: %d times, %.4g %%", s, m, part))
		}
	}
	c.line(plotMargin, c.y, plotMargin+panelWidth, c.y, "axis")
	for s := 0; s < k; s += max(1, k/16) {
		c.text(plotMargin+(float64(s)+0.5)*width, c.y+16, "mid", "%d", s)
	}
	uniform := place(100 / float64(k))
	c.line(plotMargin, uniform, plotMargin+panelWidth, uniform, "bound")
	c.y += 16
	c.y += 18
	c.text(plotMargin, c.y, "note", "Broken line: all symbols alike.")
}

// autocorrelation draws how samples depend on the ones before.
func (c *canvas) autocorrelation(samples []byte) {
	r := correlations(samples, plotLags)
	bound := 2.5758 / math.Sqrt(float64(len(samples)))
	most := bound
	for _, v := range r {
		most = max(most, math.Abs(v))
	}
	marks := steps(most)
	for _, v := range marks[1:] {
		marks = append([]float64{-v}, marks...)
	}
	place := c.panel("Autocorrelation", "%.4g", marks)
	width := float64(panelWidth) / plotLags
	for i, v := range r {
		lo, hi := place(min(0, v)), place(max(0, v))
		c.rect(plotMargin+float64(i)*width+0.2*width, hi, 0.6*width, lo-hi, "bar", fmt.Sprintf("lag %d: %.4g", i+1, v))
		if i == 0 || (i+1)%8 == 0 {
			c.text(plotMargin+(float64(i)+0.5)*width, c.y+16, "mid", "%d", i+1)
		}
	}
	c.line(plotMargin, place(0), plotMargin+panelWidth, place(0), "axis")
	for _, b := range []float64{-bound, bound} {
		c.line(plotMargin, place(b), plotMargin+panelWidth, place(b), "bound")
	}
	c.y += 34
	c.text(plotMargin, c.y, "note", "By lag, in samples. Of independent samples, 99 %% are between the broken lines.")
}

// correlations returns the autocorrelation for the lags from 1 to n, 0 where there is
// none.
func correlations(samples []byte, n int) []float64 {
	mean, variance := 0.0, 0.0
	for _, s := range samples {
		mean += float64(s)
	}
	mean /= float64(len(samples))
	for _, s := range samples {
		variance += (float64(s) - mean) * (float64(s) - mean)
	}
	r := make([]float64, n)
	for lag := 1; lag <= n && lag < len(samples) && variance > 0; lag++ {
		sum := 0.0
		for i, s := range samples[lag:] {
			sum += (float64(s) - mean) * (float64(samples[i]) - mean)
		}
		r[lag-1] = sum / variance
	}
	return r
}

// estimates draws the estimates, in bits a sample, and marks the least.
func (c *canvas) estimates(n *assess.Report) {
	c.y += 44
	c.text(plotMargin, c.y, "head", "Estimates (SP 800-90B, Section 6.3), in bits a sample")
	const left, bar = 310.0, 15.0
	scale := (plotMargin + panelWidth - 60 - left) / float64(n.Bits)
	type row struct {
		name, class string
		value       float64
		skipped     bool
	}
	var rows []row
	for _, e := range n.Original {
		rows = append(rows, row{e.Name, "bar", e.MinEntropy, e.Skipped != ""})
	}
	for _, e := range n.Bitstring {
		rows = append(rows, row{e.Name + ", bits", "bits", e.MinEntropy * float64(n.Bits), e.Skipped != ""})
	}
	c.y += 14
	top := c.y
	height := float64(len(rows))*(bar+5) + 6
	for v := range n.Bits + 1 {
		x := left + float64(v)*scale
		c.line(x, top, x, top+height, "grid")
		c.text(x, top+height+14, "mid", "%d", v)
	}
	least := math.Inf(1)
	for _, r := range rows {
		if !r.skipped {
			least = min(least, r.value)
		}
	}
	c.y += 4
	for _, r := range rows {
		c.text(left-10, c.y+bar-3, "label", "%s", r.name)
		switch {
		case r.skipped:
			c.text(left+6, c.y+bar-3, "tick", "none")
		default:
			if r.value == least {
				r.class = "least"
			}
			c.rect(left, c.y, max(1, r.value*scale), bar, r.class, fmt.Sprintf("%s: %.6f", r.name, r.value))
			c.text(left+r.value*scale+6, c.y+bar-3, "tick", "%.4f", r.value)
		}
		c.y += bar + 5
	}
	c.line(left, top, left, top+height, "axis")
	c.y = top + height + 36
	if what := legend(n); what != "" {
		c.text(plotMargin, c.y, "note", "%s", what)
	}
	c.y += 22
}

// legend explains the colours of the estimates.
func legend(n *assess.Report) string {
	if n.Constant {
		return ""
	}
	parts := []string{"Dark: of the symbols."}
	if n.Bitstring != nil {
		parts = append(parts, "Light: of their bits, times the width.")
	}
	return strings.Join(append(parts, "Orange: the least, which is the assessed min-entropy."), " ")
}
