//go:build !goexperiment.runtimesecret

// Package runtimesecret calls functions whose temporary storage is to be erased: by package
// runtime/secret in programs built with GOEXPERIMENT=runtimesecret, which Go does not
// promise to keep. In others it has no effect.
package runtimesecret

// Enabled reports whether Do erases anything. Who has arguments that must not escape to the
// heap asks for it first.
const Enabled = false

// Do calls f.
func Do(f func()) { f() }
