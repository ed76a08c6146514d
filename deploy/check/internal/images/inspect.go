package images

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// config is the part of an image's configuration that decides who it runs as, and what it says of itself.
type config struct {
	Config struct {
		User       string
		Entrypoint []string
		Env        []string
		Labels     map[string]string
	} `json:"config"`
}

// labels are what each image must say of itself.
func labels() []string {
	var out []string
	for _, name := range []string{"title", "version", "revision", "created", "licenses"} {
		out = append(out, "org.opencontainers.image."+name)
	}
	return out
}

// Inspect says what is wrong with an image, as its archive has it.
func Inspect(one Image) []error {
	c, files, err := read(one.Archive)
	if err != nil {
		return []error{fmt.Errorf("read %s: %w", path.Base(one.Archive), err)}
	}
	return judge(c, files)
}

// judge says what is wrong with an image of that configuration and of those files.
func judge(c config, files []string) (out []error) {
	say := func(format string, args ...any) { out = append(out, fmt.Errorf(format, args...)) }
	if c.Config.User != "65532:65532" {
		say("its user is %q, want 65532:65532, who is nobody", c.Config.User)
	}
	if !slices.Equal(c.Config.Entrypoint, []string{"/twinreel"}) {
		say("its entry point is %q, want the program alone", c.Config.Entrypoint)
	}
	for _, name := range labels() {
		if c.Config.Labels[name] == "" {
			say("the label %s is missing", name)
		}
	}
	for _, env := range c.Config.Env {
		if name, _, _ := strings.Cut(env, "="); name != "PATH" { // which buildah adds
			say("it sets %s: settings come from where it is run", name)
		}
	}
	want := []string{"etc/ssl/certs/ca-certificates.crt", "tmp", "twinreel"}
	for _, f := range files {
		if !slices.ContainsFunc(want, func(w string) bool { return w == f || strings.HasPrefix(w, f+"/") }) {
			say("%s has no place in it", f)
		}
	}
	for _, f := range want {
		if !slices.Contains(files, f) {
			say("%s is missing", f)
		}
	}
	return out
}

// descriptor points to a blob of an archive.
type descriptor struct {
	Digest    string `json:"digest"`
	MediaType string `json:"mediaType"`
}

// read reads an OCI archive: its configuration, and the files of all its layers.
func read(archive string) (c config, files []string, err error) {
	blobs, err := unpack(archive)
	if err != nil {
		return c, nil, err
	}
	blob := func(d descriptor) []byte { return blobs["blobs/"+strings.Replace(d.Digest, ":", "/", 1)] }
	var index struct{ Manifests []descriptor }
	if err := json.Unmarshal(blobs["index.json"], &index); err != nil || len(index.Manifests) != 1 {
		return c, nil, errors.Join(errors.New("it holds no image, or several"), err)
	}
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	if err := json.Unmarshal(blob(index.Manifests[0]), &manifest); err != nil {
		return c, nil, fmt.Errorf("its manifest: %w", err)
	}
	if err := json.Unmarshal(blob(manifest.Config), &c); err != nil {
		return c, nil, fmt.Errorf("its configuration: %w", err)
	}
	for _, layer := range manifest.Layers {
		names, err := names(blob(layer), strings.HasSuffix(layer.MediaType, "gzip"))
		if err != nil {
			return c, nil, fmt.Errorf("a layer: %w", err)
		}
		files = append(files, names...)
	}
	return c, files, nil
}

// unpack reads all files of an archive.
func unpack(archive string) (map[string][]byte, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err == nil {
			out[path.Clean(h.Name)], err = io.ReadAll(r)
		}
		if err != nil {
			return nil, err
		}
	}
}

// names lists what is in a layer.
func names(layer []byte, zipped bool) (out []string, err error) {
	var from io.Reader = strings.NewReader(string(layer))
	if zipped {
		if from, err = gzip.NewReader(from); err != nil {
			return nil, err
		}
	}
	for r := tar.NewReader(from); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, path.Clean(h.Name))
	}
}
