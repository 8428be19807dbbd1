// Renders the Helm chart as Helm does: Go's text/template with sprig's functions, toYaml and include.
// Usage: render CHART [VALUES.yaml], prints one YAML stream. Debian: golang-go golang-github-masterminds-sprig-dev.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v2"
)

func text(value interface{}) interface{} {
	switch given := value.(type) {
	case map[interface{}]interface{}:
		made := map[string]interface{}{}
		for key, one := range given {
			made[fmt.Sprint(key)] = text(one)
		}
		return made
	case []interface{}:
		for index, one := range given {
			given[index] = text(one)
		}
	}
	return value
}

func read(path string) map[string]interface{} {
	content, err := os.ReadFile(path)
	must(err)
	var found interface{}
	must(yaml.Unmarshal(content, &found))
	return text(found).(map[string]interface{})
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func merge(into, over map[string]interface{}) {
	for key, value := range over {
		inner, both := value.(map[string]interface{})
		below, has := into[key].(map[string]interface{})
		if both && has {
			merge(below, inner)
		} else {
			into[key] = value
		}
	}
}

func main() {
	chart := os.Args[1]
	values := read(filepath.Join(chart, "values.yaml"))
	if len(os.Args) > 2 {
		merge(values, read(os.Args[2]))
	}
	about := read(filepath.Join(chart, "Chart.yaml"))
	given := map[string]interface{}{
		"Values":  values,
		"Release": map[string]interface{}{"Name": "tflock", "Service": "Helm", "Namespace": "tflock"},
		"Chart":   map[string]interface{}{"Name": about["name"], "Version": about["version"], "AppVersion": about["appVersion"]},
	}
	all := template.New("chart").Option("missingkey=error").Funcs(sprig.TxtFuncMap())
	all.Funcs(template.FuncMap{
		"toYaml": func(value interface{}) string {
			made, err := yaml.Marshal(value)
			must(err)
			return strings.TrimSuffix(string(made), "\n")
		},
		"include": func(name string, data interface{}) (string, error) {
			var out bytes.Buffer
			err := all.ExecuteTemplate(&out, name, data)
			return out.String(), err
		},
	})
	paths, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	must(err)
	sort.Strings(paths)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		must(err)
		_, err = all.New(filepath.Base(path)).Parse(string(content))
		must(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, ".yaml") {
			must(all.ExecuteTemplate(os.Stdout, filepath.Base(path), given))
		}
	}
}
