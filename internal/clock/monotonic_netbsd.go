package clock

// monotonicID is CLOCK_MONOTONIC of <sys/time.h>, which x/sys/unix lacks.
const monotonicID = 3
