//go:build !js && !wasip1

package statuspage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// A browser is a page of headless Chromium.
type browser struct {
	t        *testing.T
	ctx      context.Context
	messages chan chromedp.ConsoleMessage
}

// open starts Chromium. Its directory is in a temporary one that is removed.
func open(t *testing.T) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("there is no Chromium: install the package chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // it refuses to run as root with one
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t, ctx, make(chan chromedp.ConsoleMessage, 1000)}
	console := chromedp.Console(ctx)
	go func() {
		for m, err := range console {
			if err != nil {
				return
			}
			b.messages <- m
		}
	}()
	return b
}

// do runs actions.
func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// is waits until a JavaScript expression is true.
func (b *browser) is(expression string) {
	b.t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(time.Minute), chromedp.WithPollingInterval(50*time.Millisecond)))
	if err != nil {
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		b.t.Fatalf("%s: %v; the page says:\n%s", expression, err, text)
	}
}

// value returns the value of a JavaScript expression.
func value[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// quiet checks that there was nothing to complain of: violations of the policy, errors and
// warnings are all in the log of the browser. What is expected is left out.
func (b *browser) quiet(expected ...string) {
	b.t.Helper()
	for {
		select {
		case m := <-b.messages:
			if !slices.ContainsFunc(expected, func(s string) bool { return strings.Contains(m.Text, s) }) {
				b.t.Errorf("the browser says: %s: %s", m.Type, m.Text)
			}
		default:
			return
		}
	}
}

// media says what the user prefers.
func (b *browser) media(feature, value string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: feature, Value: value}}})
	if err != nil {
		b.t.Fatal(err)
	}
}

// shot takes a picture of the whole page, if LRNG_SCREENSHOTS names a directory for them.
func (b *browser) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("LRNG_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// serve serves a page below /ui/ at an address until the function is called.
func serve(t *testing.T, address string, p *Page) (url string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ui/", http.StripPrefix("/ui", p))
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	stop = func() { server.Close() }
	t.Cleanup(stop)
	return "http://" + l.Addr().String(), stop
}

// scene is a generator with a history: real facts, and changes that the test makes.
func scene(t *testing.T) *scripted {
	t.Helper()
	r, err := lrng.New(lrng.Config{Sources: append(lrng.DefaultSources(), es.NewDevice(es.DeviceConfig{}))})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Wait(t.Context(), seeding.FullySeeded); err != nil {
		t.Fatal(err)
	}
	r.Read(make([]byte, 1<<20))
	// A source that was asked for a seed which others completed may have been told to stop, which
	// is an error until it is asked again.
	for range 10 {
		if !slices.ContainsFunc(r.Status().Sources, func(s lrng.SourceStatus) bool { return s.Error != "" && s.Health != "unavailable" }) {
			break
		}
		if err := r.Reseed(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return &scripted{status: r.Status()}
}

// round is a collection: each source delivers again, and each instance is seeded.
func round(s *lrng.Status) {
	s.Rounds++
	for i := range s.Sources {
		e := &s.Sources[i]
		e.Calls++
		if e.Error == "" && e.Credited > 0 {
			e.TotalCredited += uint64(e.Credited)
		} else if e.Error != "" {
			e.Failures++
		}
	}
	for i := range s.Instances {
		in := &s.Instances[i]
		in.Seeded, in.LastSeed, in.LastCredit = true, time.Now(), 520
		in.Seeds++
		s.Seeds++
	}
}

// The page as somebody sees it who leaves it open: charts get points, a failed health test
// shows up, and goes again. It is readable in both themes and on a phone.
func TestBrowser(t *testing.T) {
	b := open(t)
	s := scene(t)
	p := New(Config{Status: s.Status, Interval: 100 * time.Millisecond, Noise: Own(lrng.DefaultSources()...)})
	url, _ := serve(t, "127.0.0.1:0", p)
	b.media("prefers-color-scheme", "light")
	b.do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(url+"/ui/"))

	b.is(`document.querySelector("#connection").textContent === "● connected"`)
	b.is(`document.querySelector("#problems").textContent === "✓ No problem known."`)
	for range 15 {
		s.change(func(st *lrng.Status) { st.Instances[0].Requests += 100; st.Instances[0].Bytes += 123_000 })
		time.Sleep(100 * time.Millisecond)
	}
	s.change(round)
	// Charts get points: the curve goes on, and up at the new seeds.
	for _, id := range []string{"level", "credits", "seeds", "output"} {
		b.is(fmt.Sprintf(`(document.querySelector("#c-%s path.curve")?.getAttribute("d").match(/[HL]/g) ?? []).length >= 5`, id))
	}
	b.is(`new Set(document.querySelector("#c-seeds path.curve").getAttribute("d").match(/V[0-9.]+/g)).size >= 2`)
	b.is(`document.querySelectorAll("#c-health rect.well").length >= 2`)
	b.is(`document.querySelectorAll("#c-round rect.bar").length === ` + fmt.Sprint(len(s.status.Sources)))
	b.is(`[...document.querySelectorAll("#histograms h3")].map((e) => e.textContent).includes("jitter")`)
	b.is(`document.querySelector("#histograms path.bar").getAttribute("d").match(/V/g).length === 257`)
	facts := value[string](b, `document.querySelector("#facts").innerText + document.querySelector("#claim").innerText`)
	for _, want := range []string{s.status.Level.String(), s.status.Strategy, s.status.Verdict, s.status.DRNG, s.status.Memory, s.status.GenerationPage, s.status.OutputBufferReason, s.status.Claim.Construction, "✓ passed"} {
		if !strings.Contains(facts, want) {
			t.Errorf("%q is not in %s", want, facts)
		}
	}

	// A source fails, and comes back.
	s.change(func(st *lrng.Status) {
		st.Sources[1].Health, st.Sources[1].Error, st.Sources[1].Credited = "test failed", "es: cpu: RCT: 41 of 41", 0
		round(st)
	})
	b.is(`document.querySelector("#problems").textContent.includes("` + s.status.Sources[1].Name + `: test failed: es: cpu: RCT: 41 of 41")`)
	b.is(`document.querySelectorAll("#c-health rect.failed[x]").length >= 2`) // the key has one
	b.is(`document.querySelectorAll("#c-health path.cross").length >= 1`)
	b.is(`document.querySelector("#sources").rows[2].cells[1].textContent === "✕ test failed"`)
	b.shot("failed")
	time.Sleep(500 * time.Millisecond)
	s.change(func(st *lrng.Status) { st.Sources[1].Health, st.Sources[1].Error = "tests passed", ""; round(st) })
	b.is(`document.querySelector("#problems").textContent === "✓ No problem known."`)

	// A level that is lost.
	s.change(func(st *lrng.Status) { st.Level = seeding.MinimallySeeded })
	b.is(`document.querySelector("#problems").textContent.includes("The generator is minimally seeded.")`)
	b.is(`document.querySelector("#facts dd").className === "main bad"`)
	s.change(func(st *lrng.Status) { st.Level = seeding.FullySeeded; round(st) })
	b.is(`document.querySelector("#facts dd").className === "main good"`)
	time.Sleep(time.Second)
	b.shot("light")

	// Each picture has words, each table headings, and there is one heading of the page.
	if n := value[int](b, `document.querySelectorAll("figure svg[role=img]:not([aria-label])").length + document.querySelectorAll("table td:first-child").length + Math.abs(document.querySelectorAll("h1").length - 1) + document.querySelectorAll("svg:not([role=img]):not([aria-hidden])").length`); n != 0 {
		t.Errorf("%d things have no words", n)
	}
	// What is said by a colour is said by words or signs as well: enough contrast in both
	// themes, by the formula of WCAG 2.
	for _, theme := range []string{"light", "dark"} {
		b.media("prefers-color-scheme", theme)
		b.is(fmt.Sprintf(`matchMedia("(prefers-color-scheme: %s)").matches`, theme))
		for _, selector := range []string{"h1", "#connection", "dt", "dd.more", "dd.good", ".note", "#c-level text", "#c-health text.name", "thead th", "td"} {
			if ratio := value[float64](b, fmt.Sprintf(contrast, selector)); ratio < 4.5 {
				t.Errorf("%s: contrast of %s is %.2f; want 4.5", theme, selector, ratio)
			}
		}
		ground := value[string](b, `getComputedStyle(document.body).backgroundColor`)
		if light := ground == "rgb(246, 247, 249)"; light != (theme == "light") {
			t.Errorf("%s: %s", theme, ground)
		}
	}
	b.shot("dark")

	// A phone: nothing is wider than it, but tables, which scroll by themselves.
	b.media("prefers-color-scheme", "light")
	b.do(chromedp.EmulateViewport(360, 740))
	b.is(`document.querySelector("#c-level svg").viewBox.baseVal.width <= 360`)
	if w := value[int](b, `document.documentElement.scrollWidth`); w > 360 {
		t.Errorf("%d pixels wide on a phone of 360", w)
	}
	b.shot("phone")
	b.quiet()
}

// contrast is the ratio of the colour of the text of an element to the one behind it.
const contrast = `(() => {
	const e = document.querySelector(%q);
	const parts = (c) => c.match(/[0-9.]+/g).map(Number);
	const luminance = (c) => {
		const [r, g, b] = parts(c).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const style = getComputedStyle(e);
	let ground = e;
	while (parts(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
	const a = luminance(e.closest("svg") ? style.fill : style.color), b = luminance(getComputedStyle(ground).backgroundColor);
	return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
})()`

// A source that calls itself a script is shown with that name, and nothing is run.
func TestBrowserHostile(t *testing.T) {
	b := open(t)
	s := scene(t)
	const name = `<img src=x onerror="pwned=1"><script>pwned=1</script>`
	s.change(func(st *lrng.Status) {
		st.Sources[0].Name = name
		st.Sources[0].Error, st.Sources[0].Health = `"'><svg onload=pwned=1>`, `<b>bad</b>`
		st.Sources[0].Certificate, st.Sources[0].Uncredited = `<i>c</i>`, `<i>u</i>`
		st.DRNG, st.Strategy, st.Verdict, st.Memory, st.GenerationPage, st.SelfTest = `<u>d</u>`, `<u>s</u>`, `<u>v</u>`, `__proto__`, `<u>g</u>`, `<u>t</u>`
		st.Instances = slices.Repeat(st.Instances[:1], 100)
		st.Claim.Sources[0].Name, st.Claim.OperatingEnvironment = name, `<u>o</u>`
	})
	p := New(Config{Status: s.Status, Interval: 100 * time.Millisecond, Noise: func(source string) (Noise, error) {
		if source == name {
			return Noise{}, errors.New(`<u>noise</u>`)
		}
		return Noise{Samples: []byte{1}, Parameters: es.NoiseParameters{Origin: `<u>origin</u>`}}, nil
	}})
	url, _ := serve(t, "127.0.0.1:0", p)
	b.do(chromedp.Navigate(url + "/ui/"))
	b.is(`document.querySelector("#problems").textContent.includes("<svg onload=pwned=1>")`)
	b.is(`document.querySelector("#sources th[scope=row]").textContent === ` + fmt.Sprintf("%q", name))
	b.is(`[...document.querySelectorAll("#histograms h3")].some((e) => e.textContent.startsWith("<img"))`)
	b.is(`document.querySelector("#histograms").textContent.includes("<u>origin</u>")`)
	b.is(`document.querySelector("#instances").tBodies[0].rows.length === 66 && document.querySelector("#instances").tBodies[0].rows[64].textContent === "36 shards more"`)
	time.Sleep(300 * time.Millisecond) // a few more answers
	if n := value[int](b, `document.querySelectorAll("img, u, i, b, script:not([src='page.js']), [onerror], [onload]").length + (window.pwned ?? 0)`); n != 0 {
		t.Errorf("%d elements came from names", n)
	}
	b.quiet()

	// The policy is in force, and this test would hear of it.
	value[int](b, `document.body.append(Object.assign(document.createElement("script"), {textContent: "pwned = 1"})), 0`)
	select {
	case m := <-b.messages:
		if !strings.Contains(m.Text, "Content Security Policy") || value[int](b, "window.pwned ?? 0") != 0 {
			t.Errorf("%s: %s", m.Type, m.Text)
		}
	case <-time.After(30 * time.Second):
		t.Error("a script that the policy forbids went unnoticed")
	}
}

// The daemon stops, which the page says, and starts again, which it notices by itself. What
// it showed is not mixed with what it shows then.
func TestBrowserRestart(t *testing.T) {
	b := open(t)
	s := scene(t)
	host := "127.0.0.1"
	if runtime.GOOS == "linux" {
		host = "127.0.0.2" // where nobody else takes the port while nothing listens on it
	}
	url, stop := serve(t, host+":0", New(Config{Status: s.Status, Interval: 100 * time.Millisecond}))
	b.do(chromedp.Navigate(url + "/ui/"))
	b.is(`document.querySelector("#connection").textContent === "● connected"`)
	b.is(`state.points.length > 3`)
	stop()
	b.is(`document.querySelector("#connection").textContent.startsWith("✕ No connection since ")`)
	b.is(`document.body.className === "stale" && document.querySelector("#connection").className === "lost"`)
	b.is(`state.failures === 2`) // a second later

	s.change(func(st *lrng.Status) { st.Seeds, st.Rounds = 7, 5 })
	p := New(Config{Status: s.Status, Interval: 100 * time.Millisecond})
	serve(t, strings.TrimPrefix(url, "http://"), p)
	b.is(`document.querySelector("#connection").textContent === "● connected"`)
	b.is(`document.body.className === "" && state.points.every((p) => p.seeds === 7)`)
	if got := value[string](b, `state.boot`); got != p.boot {
		t.Errorf("%s; want %s", got, p.boot)
	}

	// A page that is given another generator.
	s.change(func(st *lrng.Status) { st.Sources = st.Sources[:2] })
	b.is(`document.querySelector("#sources").tBodies[0].rows.length === 2 && state.points.length > 2`)
	b.is(`state.points.every((p) => p.sources.length === 2)`)

	// An answer that is none.
	s.change(func(st *lrng.Status) { st.Level = 77 }) // JSON has no name for it
	b.is(`document.querySelector("#connection").textContent.startsWith("✕ No answer (the answer is 500) since ")`)
	b.quiet("net::ERR_CONNECTION_REFUSED", "net::ERR_CONNECTION_RESET", "net::ERR_EMPTY_RESPONSE", "500 (Internal Server Error)")
}
