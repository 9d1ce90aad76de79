//go:build !purego

package clock

const counterName = "TOD"
