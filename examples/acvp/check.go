package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// An expectedSet is an answerSet as the server gives it for a sample.
type expectedSet struct {
	answerSet
	IsSample bool `json:"isSample"`
}

// check compares answers with the ones in a file, and returns a line for people. That
// some differ is an error, which says which ones.
func check(answers []answerSet, file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := readAll(f, maxInput)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	_, sets, err := split[expectedSet](data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}

	got, want := make(map[string][]string), make(map[string][]string)
	for i := range answers {
		err = errors.Join(err, answers[i].collect(got))
	}
	for i := range sets {
		err = errors.Join(err, sets[i].collect(want))
	}
	if err != nil {
		return nil, err
	}
	var differ []error
	for _, id := range slices.Sorted(maps.Keys(got)) {
		g, w := got[id], want[id]
		switch _, ok := want[id]; {
		case !ok:
			differ = append(differ, fmt.Errorf("%s: not in %s", id, file))
		// For a sample, the server gives the first results of a Monte Carlo test.
		case len(w) == 0 || len(w) > len(g) || !slices.EqualFunc(g[:len(w)], w, strings.EqualFold):
			differ = append(differ, fmt.Errorf("%s: %s instead of %s", id, strings.Join(g, " "), strings.Join(w, " ")))
		}
		delete(want, id)
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		differ = append(differ, fmt.Errorf("%s: not in the prompt", id))
	}
	if differ != nil {
		return nil, fmt.Errorf("%d answers, %d differences from %s:\n%w", len(got), len(differ), file, errors.Join(differ...))
	}
	return fmt.Appendf(nil, "%d answers, all as in %s\n", len(got), file), nil
}

// collect adds the values of a set to values, under the identifiers of the tests.
func (set *answerSet) collect(values map[string][]string) error {
	for _, g := range set.TestGroups {
		for _, a := range g.Tests {
			id := fmt.Sprintf("vsId %d, tgId %d, tcId %d", set.VsID, g.TgID, a.TcID)
			if _, ok := values[id]; ok {
				return fmt.Errorf("%s: twice", id)
			}
			var list []string
			for _, value := range append([]result{{a.ReturnedBits}, {a.MD}}, a.ResultsArray...) {
				if value.MD != "" {
					list = append(list, value.MD)
				}
			}
			values[id] = list
		}
	}
	return nil
}
