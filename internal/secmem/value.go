package secmem

import (
	"fmt"
	"unsafe"
)

// A Value is a T in a block of its own. The zero Value has none, and demands no grade. It
// is not safe for concurrent use; copies of it share the block.
//
// T has no pointers: the garbage collector does not look into the block.
type Value[T any] struct {
	// Lasting says that the T must not turn to zeros in the middle of its use: the memory
	// is not Droppable. Without it the owner asks for Kept after each use.
	Lasting bool

	block *Block
	least Grade
}

// A Holder is a [Value] as those see it who do not know what is in it.
type Holder interface {
	// Demand has the value in memory of at least that grade from now on, and allocates
	// it if there is none. It returns the grade, or an error that says what stands against it. A value
	// that is in use stays where it is: where that is not enough, it is an error.
	Demand(least Grade) (Grade, error)

	// Intact reports whether there is a value that is what its owner made of it.
	Intact() bool
}

// Renew returns the T. If there is none, or what there was is not intact, it is a new one,
// all zero. There is no error where no grade is demanded.
func (v *Value[T]) Renew() (*T, error) {
	if !v.Intact() {
		v.Free()
		b, err := alloc(int(unsafe.Sizeof(*new(T))), v.least, v.Lasting)
		if err != nil {
			return nil, err
		}
		v.block = b
	}
	return At[T](v.block), nil
}

// Intact reports whether there is a T that still is what its owner made of it: see
// [Block.Intact].
func (v *Value[T]) Intact() bool { return v.block != nil && v.block.Intact() }

// Kept is [Block.Kept].
func (v *Value[T]) Kept() bool { return v.block != nil && v.block.Kept() }

// Free wipes the T and gives its memory back. What is demanded stays.
func (v *Value[T]) Free() {
	if v.block != nil {
		v.block.Free()
		v.block = nil
	}
}

// Demand implements [Holder]. A T that was lost is not renewed: its owner has yet to notice.
func (v *Value[T]) Demand(least Grade) (Grade, error) {
	old := v.least
	v.least = least
	if v.block == nil {
		if _, err := v.Renew(); err != nil {
			v.least = old
			return Heap, err
		}
	}
	g := v.block.Grade()
	if g < least {
		v.least = old
		return g, fmt.Errorf("secmem: in use in %v memory, not %v", g, least)
	}
	return g, nil
}

// String and GoString keep what is in the memory out of logs.
func (Value[T]) String() string   { return "secmem.Value" }
func (Value[T]) GoString() string { return "secmem.Value" }
