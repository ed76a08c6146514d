package rbac

import "testing"

const (
	blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
	scope = "/subscriptions/s/a"
)

func TestARoleAllowsWhatItNamesWhereItIsAssigned(t *testing.T) {
	role := []Permissions{{DataActions: []string{blobs + "/*"}, NotDataActions: []string{blobs + "/delete"}, Actions: []string{"x/read"}}}
	given := []Assignment{{Principal: "p", Scope: scope, Permissions: role}}
	for name, c := range map[string]struct {
		request Request
		want    bool
	}{
		"data":               {Request{"p", blobs + "/read", true, scope, ""}, true},
		"deeper":             {Request{"p", blobs + "/add/action", true, scope + "/c", ""}, true},
		"taken away":         {Request{"p", blobs + "/delete", true, scope, ""}, false},
		"an action":          {Request{"p", "x/read", false, scope, ""}, true},
		"data is no action":  {Request{"p", blobs + "/read", false, scope, ""}, false},
		"another's":          {Request{"q", blobs + "/read", true, scope, ""}, false},
		"above the scope":    {Request{"p", blobs + "/read", true, "/subscriptions/s", ""}, false},
		"beside the scope":   {Request{"p", blobs + "/read", true, scope + "b", ""}, false},
		"in any case at all": {Request{"p", "MICROSOFT.STORAGE/storageaccounts/blobservices/containers/blobs/READ", true, scope, ""}, true},
	} {
		if got, err := Allowed(c.request, given); err != nil || got != c.want {
			t.Errorf("%s: %v %v, want %v", name, got, err, c.want)
		}
	}
}

func TestConditionsOnPaths(t *testing.T) {
	path := "@Resource[" + blobPath + "]"
	for _, c := range []struct {
		text, action, path string
		want, fails        bool
	}{
		{"", "read", "x", true, false},
		{path + " StringLike 'audit/*'", "read", "audit/1/2", true, false},
		{path + " StringLike 'audit/*'", "read", "recordings/1", false, false},
		{"((!(ActionMatches{'write'}) AND !(ActionMatches{'add'})) OR (" + path + " StringLike 'audit/*'))", "read", "recordings/1", true, false},
		{"((!(ActionMatches{'write'}) AND !(ActionMatches{'add'})) OR (" + path + " StringLike 'audit/*'))", "add", "recordings/1", false, false},
		{"((!(ActionMatches{'write'}) AND !(ActionMatches{'add'})) OR (" + path + " StringLike 'audit/*'))", "add", "audit/1", true, false},
		{path + " StringStartsWith 'a' OR " + path + " StringStartsWith 'b' AND " + path + " StringEquals 'c'", "read", "a", true, false},
		{path + " StringGuess 'a'", "read", "a", false, true},
		{"(" + path + " StringLike 'a'", "read", "a", false, true},
		{"@Request[x] StringLike 'a'", "read", "a", false, true},
		{path + " StringLike 'a' XOR b", "read", "a", false, true},
	} {
		got, err := condition(c.text, Request{Action: c.action, Path: c.path})
		if (err != nil) != c.fails || !c.fails && got != c.want {
			t.Errorf("%s for %s of %s: %v %v", c.text, c.action, c.path, got, err)
		}
	}
}
