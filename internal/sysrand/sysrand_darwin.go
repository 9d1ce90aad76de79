package sysrand

//go:cgo_import_dynamic libc_getentropy getentropy "/usr/lib/libSystem.B.dylib"
