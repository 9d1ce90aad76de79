//go:build !purego

package clock

const counterName = "CNTVCT_EL0"
