//go:build !unix

package main

import (
	"errors"
	"net"
	"os"
)

var errNoUnix = errors.New("Unix sockets are served on Unix only")

const maxPath = 107

func lockFile(string) (*os.File, error)                    { return nil, errNoUnix }
func listenUnix(string, os.FileMode) (net.Listener, error) { return nil, errNoUnix }
func isRefused(error) bool                                 { return false }
