package assess

import "math/bits"

// contextDepth is the greatest number of symbols that a prediction is made from: D of
// SP 800-90B, Section 6.3.9, and B of Section 6.3.10. The others are limits for the
// size of the dictionaries: in pairs for each length, and in contexts of all lengths.
const (
	contextDepth = 16
	mmcEntries   = 100_000
	lzEntries    = 65_536
)

// Multi Markov Model with Counting Prediction Estimate, SP 800-90B, Section 6.3.9.
func multiMMC(w *work, in input, e []Estimate) error {
	s := in.s
	var (
		dict    = newDictionary(in.k)
		entries [contextDepth + 1]int
		score   score
		won     [contextDepth + 1]int
		winner  = 1
		n       = len(s) - 2
	)
	// Step 4a counts a symbol one round after its prediction, and here it is counted
	// at once, which is the same. What that leaves out is the first symbol that each
	// of the models counts.
	for d := 1; d <= min(contextDepth, n); d++ {
		dict.find(s, d, d)
		dict.enter(s, d, d)
		dict.learn(d, s[d], true)
		entries[d] = 1
	}
	for i := 2; i < len(s); i++ {
		if i&tickMask == 0 {
			if err := w.tick(float64(i) / float64(len(s))); err != nil {
				return err
			}
		}
		b, current := s[i], winner
		// Where a context is new, so are the longer ones.
		depth := min(contextDepth, i-1)
		d, found := 1, dict.find(s, i, depth)
		for ; d <= found && dict.knows(d); d++ {
			predicted, _ := dict.predict(d)
			if predicted == b {
				if won[d]++; won[d] >= won[winner] {
					winner = d
				}
				if d == current {
					score.hit()
				}
			} else if d == current {
				// In the text a round ends a run also if the winner predicts nothing.
				// In the tool it does not.
				score.miss()
			}
			if dict.learn(d, b, entries[d] < mmcEntries) {
				entries[d]++
			}
		}
		for ; d <= depth; d++ {
			if entries[d] < mmcEntries {
				dict.enter(s, i, d)
				dict.learn(d, b, true)
				entries[d]++
			}
		}
	}
	return e[0].predicted(w, score, n, in.k)
}

// LZ78Y Prediction Estimate, SP 800-90B, Section 6.3.10.
func lz78y(w *work, in input, e []Estimate) error {
	s := in.s
	var (
		dict  = newDictionary(in.k)
		size  = 0
		score score
	)
	// As above, a symbol is counted at once, and so the first one beforehand.
	dict.find(s, contextDepth, contextDepth)
	for d := contextDepth; d >= 1; d-- {
		dict.enter(s, contextDepth, d)
		dict.learn(d, s[contextDepth], true)
		size++
	}
	for i := contextDepth + 1; i < len(s); i++ {
		if i&tickMask == 0 {
			if err := w.tick(float64(i) / float64(len(s))); err != nil {
				return err
			}
		}
		// Step 3b: the most frequent continuation of any context, of equal ones that of
		// the longest context.
		b, predicted, most := s[i], byte(0), int32(0)
		found := dict.find(s, i, contextDepth)
		for d := contextDepth; d >= 1; d-- {
			if d <= found && dict.knows(d) {
				if y, count := dict.predict(d); count > most {
					predicted, most = y, count
				}
				dict.learn(d, b, true)
			} else if size < lzEntries {
				dict.enter(s, i, d)
				dict.learn(d, b, true)
				size++
			}
		}
		// Step 3c.
		if most > 0 && predicted == b {
			score.hit()
		} else {
			score.miss()
		}
	}
	return e[0].predicted(w, score, len(s)-contextDepth-1, in.k)
}

// A dictionary counts which symbols follow a context, that is the d symbols before.
//
// The contexts form a tree: a child has one more symbol, and that is an earlier one. For
// two symbols the tree is complete, and node n has the children 2n and 2n+1.
type dictionary struct {
	path    [contextDepth + 1]int32 // nodes of the contexts at the present position
	reached int                     // how far path is valid

	// For two symbols: their counts, by node.
	binary bool
	pairs  [][2]int32

	// For more.
	nodes    []contextNode
	children table // by node and symbol
	counts   table // by node and symbol
}

// A contextNode has the most frequent symbol after a context and how often that was. Of
// several it is the greatest symbol.
type contextNode struct {
	most   int32 // 0 if the context is known only as part of a longer one
	symbol byte
}

func newDictionary(k int) *dictionary {
	d := &dictionary{binary: k == 2}
	if d.binary {
		d.pairs = make([][2]int32, 2<<contextDepth)
	} else {
		d.nodes = make([]contextNode, 2, 1<<16)
	}
	d.path[0] = 1
	return d
}

// find goes to position i of s and returns the length, depth at most, up to which the
// contexts are in the tree.
func (x *dictionary) find(s []byte, i, depth int) int {
	node := x.path[0]
	if x.binary {
		for d := 1; d <= depth; d++ {
			node = 2*node + int32(s[i-d])
			x.path[d] = node
		}
		x.reached = depth
		return depth
	}
	x.reached = 0
	for d := 1; d <= depth; d++ {
		child := x.children.get(node, s[i-d])
		if child == nil {
			break
		}
		node = *child
		x.path[d] = node
		x.reached = d
	}
	return x.reached
}

// enter puts the context of length d at position i into the tree. Find was called for
// this position and at least this length.
func (x *dictionary) enter(s []byte, i, d int) {
	for x.reached < d {
		child := x.children.put(x.path[x.reached], s[i-1-x.reached])
		x.nodes = append(x.nodes, contextNode{})
		*child = int32(len(x.nodes) - 1)
		x.reached++
		x.path[x.reached] = *child
	}
}

// knows reports whether something has followed the context of length d.
func (x *dictionary) knows(d int) bool {
	if x.binary {
		return x.pairs[x.path[d]] != [2]int32{}
	}
	return x.nodes[x.path[d]].most > 0
}

// predict returns what followed the context of length d most often.
func (x *dictionary) predict(d int) (symbol byte, count int32) {
	if x.binary {
		p := x.pairs[x.path[d]]
		if p[0] > p[1] {
			return 0, p[0]
		}
		return 1, p[1]
	}
	n := x.nodes[x.path[d]]
	return n.symbol, n.most
}

// learn counts b after the context of length d. If b is new there, it is counted only if
// add is set, and learn reports whether it is new then.
func (x *dictionary) learn(d int, b byte, add bool) (added bool) {
	node := x.path[d]
	if x.binary {
		count := &x.pairs[node][b]
		added = *count == 0
		if !added || add {
			*count++
		}
		return added && add
	}
	count := x.counts.get(node, b)
	if count == nil {
		if !add {
			return false
		}
		count = x.counts.put(node, b)
		added = true
	}
	*count++
	n := &x.nodes[node]
	if *count > n.most || *count == n.most && b > n.symbol {
		n.most, n.symbol = *count, b
	}
	return added
}

// A table is a hash table from a node and a symbol to a number. It is an order of
// magnitude faster here than a map. Nodes are less than 2²⁴: there are at most
// contextDepth·mmcEntries, or contextDepth·lzEntries.
type table struct {
	slots []slot // a power of two, at most half of them in use
	shift int
	n     int
}

type slot struct {
	key   uint32 // 0 if the slot is free: nodes start at 1
	value int32
}

func tableKey(node int32, symbol byte) uint32 { return uint32(node)<<8 | uint32(symbol) }

// at returns the slot for key, or the free one where it belongs.
func (t *table) at(key uint32) *slot {
	for i := key * 0x9e3779b1 >> t.shift; ; i++ { // Fibonacci hashing
		s := &t.slots[i&uint32(len(t.slots)-1)]
		if s.key == key || s.key == 0 {
			return s
		}
	}
}

// get returns the number of the pair, or nil.
func (t *table) get(node int32, symbol byte) *int32 {
	if t.n == 0 {
		return nil
	}
	s := t.at(tableKey(node, symbol))
	if s.key == 0 {
		return nil
	}
	return &s.value
}

// put adds a pair that is not there yet, with the number 0.
func (t *table) put(node int32, symbol byte) *int32 {
	if 2*t.n >= len(t.slots) {
		old := t.slots
		t.slots = make([]slot, max(1<<10, 2*len(old)))
		t.shift = 32 - bits.Len(uint(len(t.slots)-1))
		for _, s := range old {
			if s.key != 0 {
				*t.at(s.key) = s
			}
		}
	}
	t.n++
	s := t.at(tableKey(node, symbol))
	s.key = tableKey(node, symbol)
	return &s.value
}
