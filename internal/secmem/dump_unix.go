//go:build darwin || netbsd

package secmem

const concealed = 0

// leaveOut does nothing: the system has no call for it.
func leaveOut([]byte) error { return nil }
