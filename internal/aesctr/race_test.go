//go:build race

package aesctr_test

const raceEnabled = true
