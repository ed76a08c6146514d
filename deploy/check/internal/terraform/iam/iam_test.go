package iam

import (
	"strings"
	"testing"
)

const (
	role  = "arn:aws:iam::123456789012:role/one"
	other = "arn:aws:iam::123456789012:role/other"
)

func parse(t *testing.T, statements string) Policy {
	t.Helper()
	p, err := Parse(`{"Version":"2012-10-17","Statement":[` + statements + `]}`)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhatIsDeniedIsDeniedAndWhatNobodyAllowsIsNotAllowed(t *testing.T) {
	allow := `{"Effect":"Allow","Sid":"a","Action":"s3:*","Resource":"arn:aws:s3:::b/*"}`
	for name, c := range map[string]struct {
		identity, resource string
		action, object     string
		want               bool
		by                 string
	}{
		"allowed by its own policy": {allow, "", "s3:PutObject", "x", true, "a"},
		"in any case":               {`{"Effect":"Allow","Sid":"a","Action":"S3:putobject","Resource":"*"}`, "", "s3:PutObject", "x", true, "a"},
		"nothing says so":           {"", "", "s3:PutObject", "x", false, ""},
		"another resource":          {`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/y/*"}`, "", "s3:PutObject", "x", false, ""},
		"* takes slashes":           {allow, "", "s3:PutObject", "x/y/z", true, "a"},
		"allowed by the resource's": {"", `{"Effect":"Allow","Sid":"r","Principal":{"AWS":"` + role + `"},"Action":"s3:*","Resource":"*"}`, "s3:PutObject", "x", true, "r"},
		"the resource allows another": {
			"", `{"Effect":"Allow","Principal":{"AWS":"` + other + `"},"Action":"s3:*","Resource":"*"}`,
			"s3:PutObject", "x", false, "",
		},
		"denied for everybody": {allow, `{"Effect":"Deny","Sid":"d","Principal":"*","Action":"s3:PutObject","Resource":"*"}`, "s3:PutObject", "x", false, "d"},
		"denied but for one":   {allow, `{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"ArnNotEquals":{"aws:PrincipalArn":"` + role + `"}}}`, "s3:PutObject", "x", true, "a"},
		"denied and not excepted": {
			allow, `{"Effect":"Deny","Sid":"d","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"ArnNotEquals":{"aws:PrincipalArn":"` + other + `"}}}`,
			"s3:PutObject", "x", false, "d",
		},
		"all but some actions": {allow, `{"Effect":"Deny","Sid":"d","Principal":"*","NotAction":["s3:Get*"],"Resource":"*"}`, "s3:DeleteObject", "x", false, "d"},
		"one of those actions": {allow, `{"Effect":"Deny","Principal":"*","NotAction":["s3:Get*"],"Resource":"*"}`, "s3:GetObject", "x", true, "a"},
		"all but some objects": {allow, `{"Effect":"Deny","Sid":"d","Principal":"*","Action":"s3:*","NotResource":"arn:aws:s3:::b/y/*"}`, "s3:PutObject", "x", false, "d"},
		"one of those objects": {allow, `{"Effect":"Deny","Principal":"*","Action":"s3:*","NotResource":"arn:aws:s3:::b/y/*"}`, "s3:PutObject", "y/x", true, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Evaluate(Request{Action: c.action, Resource: "arn:aws:s3:::b/" + c.object, Principal: role},
				[]Policy{parse(t, c.identity)}, parse(t, c.resource), false)
			if err != nil || got.Allowed != c.want || got.By != c.by {
				t.Errorf("%+v %v, want %v by %q", got, err, c.want, c.by)
			}
		})
	}
}

func TestAKeysPolicyMustAllowItOrLeaveItToTheAccount(t *testing.T) {
	own := parse(t, `{"Effect":"Allow","Sid":"own","Action":"kms:*","Resource":"*"}`)
	for name, c := range map[string]struct {
		key  string
		want bool
	}{
		"says nothing":              {"", false},
		"names the role":            {`{"Effect":"Allow","Principal":{"AWS":"` + role + `"},"Action":"kms:Decrypt","Resource":"*"}`, true},
		"leaves it to the account":  {`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"}`, true},
		"leaves another thing":      {`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:Get*","Resource":"*"}`, false},
		"leaves it to another one":  {`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::210987654321:root"},"Action":"kms:*","Resource":"*"}`, false},
		"denies it to all accounts": {`{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Evaluate(Request{Action: "kms:Decrypt", Resource: "key", Principal: role}, []Policy{own}, parse(t, c.key), true)
			if err != nil || got.Allowed != c.want {
				t.Errorf("%+v %v, want %v", got, err, c.want)
			}
		})
	}
}

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		operator, values string
		have             string // "-": the request has no such key
		want             bool
	}{
		{"StringEquals", "a,b", "b", true},
		{"StringEquals", "a", "b", false},
		{"StringEquals", "a", "-", false},
		{"StringNotEquals", "a", "b", true},
		{"StringNotEquals", "a,b", "b", false},
		{"StringNotEquals", "a", "-", true}, // a denial by it denies who does not say
		{"StringLike", "a*", "abc", true},
		{"StringNotLike", "a*", "abc", false},
		{"ArnNotEquals", role, role, false},
		{"ArnNotEquals", role, other, true},
		{"ArnNotEquals", role, "-", true},
		{"Bool", "true", "True", true},
		{"Bool", "true", "-", false},
		{"Null", "true", "-", true},
		{"Null", "true", "*", false},
		{"Null", "false", "-", false},
		{"Null", "false", "*", true},
		{"NumericLessThan", "10", "9.5", true},
		{"NumericLessThan", "10", "10", false},
		{"NumericLessThan", "10", "-", false},
		{"NumericGreaterThan", "10", "11", true},
		{"NumericGreaterThan", "10", "-", false},
	} {
		context := map[string]string{"S3:Key": c.have}
		if c.have == "-" {
			context = nil
		}
		got, err := condition(c.operator, "s3:key", strings.Split(c.values, ","), context)
		if err != nil || got != c.want {
			t.Errorf("%s %s of %s: %v %v, want %v", c.operator, c.values, c.have, got, err, c.want)
		}
	}
}

func TestWhatIsUnknownIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"an element":  `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotPrincipal":"*","Action":"*","Resource":"*"}]}`,
		"a version":   `{"Version":"2008-10-17","Statement":[]}`,
		"an effect":   `{"Version":"2012-10-17","Statement":[{"Effect":"Maybe","Action":"*","Resource":"*"}]}`,
		"no action":   `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Resource":"*"}]}`,
		"a principal": `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"Service":"x"},"Action":"*","Resource":"*"}]}`,
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	p := parse(t, `{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`)
	if _, err := Evaluate(Request{Action: "s3:GetObject", Resource: "x", Principal: role}, nil, p, false); err == nil || !strings.Contains(err.Error(), "IpAddress") {
		t.Errorf("an operator: %v", err)
	}
}

func TestActionsAndKeysThatAWSDoesNotHaveAreSaid(t *testing.T) {
	r, err := ReadReference(t.Context(), "s3")
	if err != nil {
		t.Fatal(err)
	}
	for want, statement := range map[string]string{
		"no action s3:PutObjects":                   `{"Effect":"Allow","Action":"s3:PutObjects","Resource":"*"}`,
		"no request of s3:GetObject has the key":    `{"Effect":"Deny","Action":"s3:GetObject","Resource":"*","Condition":{"Null":{"s3:if-none-match":"true"}}}`,
		"no request of s3:PutObject has the key s3": `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"Null":{"s3:ifnonematch":"true"}}}`,
	} {
		if err := r.Check(parse(t, statement)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	good := `{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}}`
	if err := r.Check(parse(t, good)); err != nil {
		t.Error(err)
	}
}
