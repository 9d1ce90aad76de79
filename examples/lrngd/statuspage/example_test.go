package statuspage_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/lrng-go/lrng"
	"github.com/lrng-go/lrng/examples/lrngd/statuspage"
)

// A page for the generator of the program. The noise is of sources of their own.
func ExampleNew() {
	page := statuspage.New(statuspage.Config{
		Status: lrng.Default().Status,
		Noise:  statuspage.Own(lrng.DefaultSources()...),
	})
	mux := http.NewServeMux()
	mux.Handle("/ui/", http.StripPrefix("/ui", page))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/ui/", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}
