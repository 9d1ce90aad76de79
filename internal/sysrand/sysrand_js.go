package sysrand

import "syscall/js"

// getRandomValues throws a QuotaExceededError for more (Web Cryptography API,
// Section 10.1.1).
const maxRequest = 64 << 10

// request calls crypto.getRandomValues of the browser or of Node.js, which is
// defined to be cryptographically strong and never to wait. It can only fill an
// array of JavaScript, which is overwritten after it was copied.
func request(b []byte, _ bool) (n int, err error) {
	crypto := js.Global().Get("crypto")
	if crypto.Type() != js.TypeObject || crypto.Get("getRandomValues").Type() != js.TypeFunction {
		return 0, ErrUnsupported
	}
	defer func() {
		// An exception of JavaScript arrives as a panic with a js.Error.
		if r := recover(); r != nil {
			e, ok := r.(js.Error)
			if !ok {
				panic(r)
			}
			n, err = 0, wrap("crypto.getRandomValues", e)
		}
	}()
	array := js.Global().Get("Uint8Array").New(len(b))
	defer array.Call("fill", 0)
	crypto.Call("getRandomValues", array)
	return js.CopyBytesToGo(b, array), nil
}
