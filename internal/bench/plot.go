package main

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// plots are the pictures, by the names of their files.
var plots = map[string]func(results) ([]byte, error){
	"throughput.svg": plotThroughput,
	"latency.svg":    plotLatency,
}

const plotWidth, plotHeight = 9 * vg.Inch, 5 * vg.Inch

// Colours that those who see no red or no green can tell apart: M. Okabe and K. Ito,
// "Color Universal Design", 2008. Ours are drawn in full lines, those of others in broken ones.
var (
	blue      = color.RGBA{0x00, 0x72, 0xb2, 0xff}
	sky       = color.RGBA{0x56, 0xb4, 0xe9, 0xff}
	green     = color.RGBA{0x00, 0x9e, 0x73, 0xff}
	vermilion = color.RGBA{0xd5, 0x5e, 0x00, 0xff}
	orange    = color.RGBA{0xe6, 0x9f, 0x00, 0xff}
	purple    = color.RGBA{0xcc, 0x79, 0xa7, 0xff}
	black     = color.RGBA{0x00, 0x00, 0x00, 0xff}
	grey      = color.RGBA{0x80, 0x80, 0x80, 0xff}
)

// A curve is a contender in a picture.
type curve struct {
	name  string
	color color.Color
	ours  bool
}

// plotThroughput draws GB/s over the size of a read.
func plotThroughput(r results) ([]byte, error) {
	p, legend := newPlot("Throughput of one goroutine")
	p.X.Label.Text = "size of a read"
	p.Y.Label.Text = "GB/s"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	var ticks []plot.Tick
	for _, n := range throughput.sizes {
		ticks = append(ticks, plot.Tick{Value: float64(n), Label: size(n)})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	p.Add(plotter.NewGrid())

	drawn := 0
	for _, c := range []curve{
		{"lrng own", blue, true},
		{"lrng ahead", sky, true},
		{"lrng.Read", green, true},
		{"lrng CTR own", purple, true},
		{"frand 1.4 shared", orange, false},
		{"frand 1.5 shared", grey, false},
		{cryptoRandFIPS, vermilion, false},
		{cryptoRand, black, false},
		{"OpenSSL RAND_bytes", purple, false},
	} {
		var points plotter.XYs
		for _, n := range throughput.sizes {
			if v, ok := r.value(key{throughput.id, cpuTime, c.name, n, 1}); ok {
				points = append(points, plotter.XY{X: float64(n), Y: float64(n) / v})
			}
		}
		if points == nil {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		line.Color, line.Width = c.color, vg.Points(2)
		dots.Color, dots.Shape = c.color, draw.CircleGlyph{}
		if !c.ours {
			line.Width = vg.Points(1.2)
			line.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
			dots.Shape = draw.CrossGlyph{}
		}
		p.Add(line, dots)
		legend.Add(c.name, line, dots)
		drawn++
	}
	if drawn == 0 {
		return nil, errors.New("nothing to draw")
	}
	return svg(p, legend)
}

// decades marks 1, 2 and 5 times the powers of ten.
type decades struct{}

func (decades) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for _, m := range []float64{1, 2, 5} {
			if v := m * math.Pow(10, e); low <= v && v <= high {
				ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%g", v)})
			}
		}
	}
	return ticks
}

// plotLatency draws the percentiles of a read of 32 bytes.
func plotLatency(r results) ([]byte, error) {
	p, legend := newPlot("Time of one read of 32 bytes, with that of the clock")
	p.Y.Label.Text = "ns"
	p.Y.Scale = plot.LogScale{}
	p.Add(plotter.NewGrid())

	contenders := []curve{
		{"lrng own", blue, true},
		{"lrng own, reseeding", blue, true},
		{"lrng ahead", sky, true},
		{"lrng ahead, reseeding", sky, true},
		{"lrng.Read", green, true},
		{"lrng.Read, reseeding", green, true},
		{cryptoRand, black, false},
		{cryptoRandFIPS, vermilion, false},
		{"frand 1.4 shared", orange, false},
	}
	low, high := math.Inf(1), 0.0
	width := vg.Points(9)
	drawn := 0
	for i, c := range contenders {
		var points plotter.XYs
		for x, m := range latencyMetrics {
			if v, ok := r.value(key{latencies.id, m, c.name, 32, 1}); ok && v > 0 {
				points = append(points, plotter.XY{X: float64(x), Y: v})
				low, high = min(low, v), max(high, v)
			}
		}
		if points == nil {
			continue
		}
		b := &bars{points, c.color, width, (vg.Length(i) - vg.Length(len(contenders)-1)/2) * width * 1.2, i%2 == 1 && c.ours}
		p.Add(b)
		legend.Add(c.name, b)
		drawn++
	}
	if drawn == 0 {
		return nil, errors.New("nothing to draw")
	}
	p.X.Min, p.X.Max = -0.5, float64(len(latencyMetrics))-0.5
	p.Y.Min, p.Y.Max = math.Pow(10, math.Floor(math.Log10(low))), high*1.5
	var names []string
	for _, m := range latencyMetrics {
		names = append(names, string(m))
	}
	p.NominalX(names...)
	return svg(p, legend)
}

// bars are those of one contender. Those of package plotter start at zero, which a
// logarithmic scale does not have.
type bars struct {
	points plotter.XYs
	color  color.Color
	width  vg.Length
	offset vg.Length
	hollow bool
}

// Plot implements [plot.Plotter].
func (b *bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, at := range b.points {
		left := x(at.X) + b.offset - b.width/2
		b.rectangle(c, left, left+b.width, c.Min.Y, y(at.Y))
	}
}

// Thumbnail implements [plot.Thumbnailer].
func (b *bars) Thumbnail(c *draw.Canvas) {
	b.rectangle(*c, c.Min.X, c.Max.X, c.Min.Y, c.Max.Y)
}

func (b *bars) rectangle(c draw.Canvas, left, right, bottom, top vg.Length) {
	corners := []vg.Point{{X: left, Y: bottom}, {X: left, Y: top}, {X: right, Y: top}, {X: right, Y: bottom}}
	if !b.hollow {
		c.FillPolygon(b.color, corners)
	}
	c.StrokeLines(draw.LineStyle{Color: b.color, Width: vg.Points(1)}, append(corners, corners[0]))
}

// newPlot returns an empty picture.
func newPlot(title string) (*plot.Plot, *plot.Legend) {
	plot.DefaultFont.Variant = "Sans"
	p, l := plot.New(), plot.NewLegend()
	p.Title.Text = title
	p.Title.Padding = vg.Points(6)
	p.BackgroundColor = color.White
	p.Y.Tick.Marker = decades{}
	l.TextStyle.Font.Size = vg.Points(10)
	l.ThumbnailWidth = vg.Points(24)
	l.Padding = vg.Points(3)
	l.Top, l.Left = true, true
	return p, &l
}

// svg writes a picture, with the legend to the right of it.
func svg(p *plot.Plot, l *plot.Legend) ([]byte, error) {
	const margin, aside = vg.Length(8), 2 * vg.Inch
	c := vgsvg.New(plotWidth, plotHeight)
	all := draw.New(c)
	all.FillPolygon(color.White, []vg.Point{{}, {Y: plotHeight}, {X: plotWidth, Y: plotHeight}, {X: plotWidth}})
	p.Draw(draw.Crop(all, margin, -aside, margin, -margin))
	l.Draw(draw.Crop(all, plotWidth-aside+margin, -margin, margin, -4*margin))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(b.Bytes(), []byte("Liberation Sans"), []byte("Liberation Sans, Arial, Helvetica, sans-serif")), nil
}
