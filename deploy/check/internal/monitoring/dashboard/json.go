package dashboard

import (
	"bytes"
	"encoding/json"
)

// object is a JSON object; its keys are written in order, so that the same description gives the same bytes.
type object = map[string]any

// JSON is the dashboard as Grafana loads it.
func JSON() ([]byte, error) {
	panels, y, id := []any{}, 0, 0
	for _, row := range Rows() {
		id++
		panels = append(panels, object{
			"id": id, "type": "row", "title": row.Title, "collapsed": false, "panels": []any{}, "gridPos": object{"h": 1, "w": 24, "x": 0, "y": y},
		})
		y++
		x := 0
		for _, p := range row.Panels {
			id++
			panels = append(panels, p.object(id, object{"h": row.Height, "w": p.Width, "x": x, "y": y}))
			x += p.Width
		}
		y += row.Height
	}
	return lines(object{
		"uid": "twinreel", "title": "Twinreel", "tags": []string{"twinreel"}, "schemaVersion": 39, "version": 1, "editable": true,
		"time": object{"from": "now-6h", "to": "now"}, "refresh": "30s", "timezone": "browser",
		"templating": object{"list": []any{object{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}}},
	}, panels)
}

// lines writes a panel a line, so that a change of one is a line that changed.
func lines(board object, panels []any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(board); err != nil {
		return nil, err
	}
	out.Truncate(out.Len() - len("}\n"))
	out.WriteString(",\n\"panels\":[\n")
	for i, p := range panels {
		if i > 0 {
			out.Truncate(out.Len() - len("\n"))
			out.WriteString(",\n")
		}
		if err := e.Encode(p); err != nil {
			return nil, err
		}
	}
	out.WriteString("]}\n")
	return out.Bytes(), nil
}

// source is the Prometheus that is chosen at the dashboard's top.
var source = object{"type": "prometheus", "uid": "${datasource}"}

func (p Panel) object(id int, at object) object {
	targets := []any{}
	for i, q := range p.Queries {
		t := object{"refId": string(rune('A' + i)), "expr": q.Expr, "legendFormat": q.Legend, "datasource": source}
		if p.Kind == "table" {
			t["format"], t["instant"] = "table", true
		}
		if p.Kind == "stat" {
			t["instant"] = true
		}
		targets = append(targets, t)
	}
	o := object{
		"id": id, "type": p.Kind, "title": p.Title, "description": p.Means, "datasource": source, "gridPos": at, "targets": targets,
		"fieldConfig": object{"defaults": object{"unit": p.Unit, "min": 0}, "overrides": []any{}},
	}
	switch p.Kind {
	case "stat":
		o["fieldConfig"] = object{"defaults": object{"unit": p.Unit, "thresholds": p.thresholds(), "color": object{"mode": "thresholds"}}, "overrides": []any{}}
		o["options"] = object{"colorMode": "background", "graphMode": "none", "textMode": "value_and_name", "reduceOptions": object{"calcs": []string{"lastNotNull"}}}
	case "table":
		o["fieldConfig"] = object{"defaults": object{}, "overrides": []any{object{
			"matcher": object{"id": "byName", "options": "Value"}, "properties": []any{object{"id": "unit", "value": p.Unit}, object{"id": "displayName", "value": "since"}},
		}}}
		o["transformations"] = []any{object{"id": "organize", "options": object{
			"excludeByName": object{"Time": true, "instance": true, "job": true},
			"indexByName":   object{"severity": 0, "alertname": 1, "tier": 2, "Value": 3},
		}}}
	}
	return o
}

func (p Panel) thresholds() object {
	steps := []any{object{"color": "green", "value": nil}}
	if p.Amber > 0 {
		steps = append(steps, object{"color": "orange", "value": p.Amber})
	}
	if p.Red > 0 {
		steps = append(steps, object{"color": "red", "value": p.Red})
	}
	return object{"mode": "absolute", "steps": steps}
}
