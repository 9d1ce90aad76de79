package lrng

// fatal ends the program with a message, a trace and exit status 2.
//
// It is for the functions that promise random bytes and have no way to report
// that there are none. A panic in the caller's goroutine could be recovered, by
// net/http among others, and the program would go on with a buffer that it takes
// for random. A panic in a goroutine of its own cannot.
func fatal(err error) {
	go panic("lrng: no random bytes can be had: " + err.Error())
	select {}
}
