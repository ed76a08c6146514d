package iam

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// condition reports whether a condition holds. A key that the request does not have fails a condition; but it fulfils one that
// says what a value must not be (AWS IAM User Guide, "Condition operators": negated matching).
func condition(operator, key string, values Strings, context map[string]string) (bool, error) {
	have, there := lookup(context, key)
	if operator == "Null" {
		return slices.Contains(values, strconv.FormatBool(!there)), nil
	}
	matching := func(f func(want string) bool) bool { return there && slices.ContainsFunc(values, f) }
	number := func(f func(have, want float64) bool) (bool, error) {
		if !there {
			return false, nil
		}
		h, err := strconv.ParseFloat(have, 64)
		if err != nil {
			return false, fmt.Errorf("%s is no number: %q", key, have)
		}
		return slices.ContainsFunc(values, func(want string) bool {
			w, err := strconv.ParseFloat(want, 64)
			return err == nil && f(h, w)
		}), nil
	}
	switch operator {
	case "StringEquals":
		return matching(func(want string) bool { return have == want }), nil
	case "StringNotEquals":
		return !matching(func(want string) bool { return have == want }), nil
	case "StringLike", "ArnLike", "ArnEquals":
		return matching(func(want string) bool { return glob(want, have) }), nil
	case "StringNotLike", "ArnNotLike", "ArnNotEquals":
		return !matching(func(want string) bool { return glob(want, have) }), nil
	case "Bool":
		return matching(func(want string) bool { return strings.EqualFold(have, want) }), nil
	case "NumericLessThan":
		return number(func(h, w float64) bool { return h < w })
	case "NumericGreaterThan":
		return number(func(h, w float64) bool { return h > w })
	}
	return false, fmt.Errorf("nobody has said what the operator %s does", operator)
}

// lookup finds a key, whose name may be in any case.
func lookup(context map[string]string, key string) (string, bool) {
	for k, v := range context {
		if strings.EqualFold(k, key) {
			return v, true
		}
	}
	return "", false
}
