// Shuffle prints its arguments, or a pack of cards, in a random order.
//
// What to take from it: an RNG is a Source of math/rand/v2, so all that package does with
// numbers, such as Shuffle, Perm, IntN and NormFloat64, can be had with secret ones, without
// bias. A pack of 52 cards has 52! = 2^225.6 orders. A generator with a seed of 64 bits cannot
// deal most of them, and who has seen a few cards finds its seed; the state here has 256 bits.
//
// Usage: shuffle [ITEM...]
package main

import (
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"strings"

	"github.com/lrng-go/lrng"
)

func main() {
	items := os.Args[1:]
	if len(items) == 0 {
		items = pack()
	}
	if err := run(os.Stdout, items, lrng.Default()); err != nil {
		fmt.Fprintln(os.Stderr, "shuffle:", err)
		os.Exit(1)
	}
}

// run shuffles the items in place and prints them.
func run(w io.Writer, items []string, source mathrand.Source) error {
	mathrand.New(source).Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	_, err := fmt.Fprintln(w, strings.Join(items, " "))
	return err
}

// pack returns 52 cards, in order.
func pack() (cards []string) {
	for _, suit := range "♠♥♦♣" {
		for rank := range strings.FieldsSeq("A 2 3 4 5 6 7 8 9 10 J Q K") {
			cards = append(cards, rank+string(suit))
		}
	}
	return cards
}
