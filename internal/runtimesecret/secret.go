//go:build goexperiment.runtimesecret

// Package runtimesecret calls functions whose temporary storage is to be erased: by package
// runtime/secret in programs built with GOEXPERIMENT=runtimesecret, which Go does not
// promise to keep. In others it has no effect.
package runtimesecret

import "runtime/secret"

// Enabled reports whether Do erases anything.
const Enabled = true

// Do calls f, and erases the registers and the part of the stack that it used. What it
// allocated is erased when it is garbage and has been collected. Linux on amd64 and
// arm64 only; elsewhere it just calls f.
func Do(f func()) { secret.Do(f) }
