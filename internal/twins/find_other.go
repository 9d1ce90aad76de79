//go:build !linux

package twins

import "errors"

func find() (*Page, error) {
	return nil, errors.New("twins: no page for this system")
}
