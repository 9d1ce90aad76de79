// Package impl keeps the list of alternative implementations, so that tests can
// run every one that the machine has.
//
// A package with assembly registers one variable for each set of CPU features
// it has code for. When the variable is false the package does not use that
// code, and with all of them false it uses its portable code. Nothing but tests
// changes the variables after the program has started: there is no switch for
// users.
package impl

import "iter"

// Generic is the name under which [All] yields the portable implementation.
const Generic = "generic"

type alternative struct {
	pkg, name string
	use       *bool
	available bool // what *use was when it was registered
}

var alternatives []alternative

// Register records that the package pkg (its name, not its path) has an
// implementation called name, which it uses while *use is true. The value of
// *use at this time says whether the machine can run it.
//
// It is called from the init functions of packages.
func Register(pkg, name string, use *bool) {
	alternatives = append(alternatives, alternative{pkg, name, use, *use})
}

// All iterates over the implementations of pkg, in the order of registration
// and with [Generic] last. In each step the one named is in use and every other
// is not; ok is false, and the portable one is in use, if this machine cannot
// run it. After the last step, or when the loop is left, what was in use before
// is so again.
//
// All is for tests. It changes variables that are read without
// synchronization: nothing else may use pkg during the loop.
func All(pkg string) iter.Seq2[string, bool] {
	return func(yield func(name string, ok bool) bool) {
		var own []alternative
		var before []bool
		for _, a := range alternatives {
			if a.pkg == pkg {
				own = append(own, a)
				before = append(before, *a.use)
			}
		}
		defer func() {
			for i, a := range own {
				*a.use = before[i]
			}
		}()
		use := func(name string) {
			for _, a := range own {
				*a.use = a.name == name && a.available
			}
		}
		for _, a := range own {
			use(a.name)
			if !yield(a.name, a.available) {
				return
			}
		}
		use(Generic)
		yield(Generic, true)
	}
}
