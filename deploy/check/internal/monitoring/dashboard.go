package monitoring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// ReadDashboard returns the expressions of a dashboard as Grafana loads it, by the panels' titles.
func ReadDashboard(path string) ([]Expr, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Panels []struct {
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var all []Expr
	for _, p := range file.Panels {
		for _, t := range p.Targets {
			all = append(all, Expr{"dashboard, " + p.Title, t.Expr})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no expressions", path)
	}
	return all, nil
}

// CheckWritten demands that the file is what the description gives.
func CheckWritten(path string, want []byte) error {
	got, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New(path + " is not what its description gives: cd deploy/check && go run ./internal/monitoring/write")
	}
	return nil
}
