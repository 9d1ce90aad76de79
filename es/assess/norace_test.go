//go:build !race

package assess

const race = false
