package clock

const (
	monotonicID   = 3 // CLOCK_MONOTONIC of <sys/time.h>, which x/sys/unix lacks
	monotonicName = "CLOCK_MONOTONIC"
)
