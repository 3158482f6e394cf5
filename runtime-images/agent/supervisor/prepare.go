package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lambent.dev/agent/link"
	"lambent.dev/agent/loop"
	"lambent.dev/agent/sandbox"
	"lambent.dev/agent/slot"
)

const (
	invalidZipError = "Runtime.InvalidZipFile"
	sandboxError    = "Sandbox.Failure"
)

// preparation brings a function's packages: fetches what is nowhere on the machine, then unpacks and arranges.
type preparation struct {
	spec    *link.Specialization
	missing []link.Package
	fetched map[string]string // digest to file
	file    *os.File
	began   int64
	phases  link.Phases
}

// Prepare implements slot.Ports.
func (e *environment) Prepare(spec *link.Specialization) {
	e.spec = spec
	e.loading = &preparation{spec: spec, fetched: map[string]string{}, began: loop.Now()}
	if settings := e.agent.settings; settings.Code != "" {
		var err error
		e.places, err = sandbox.Beside(settings.Code, settings.RuntimeFolder, settings.Root, settings.Places)
		e.prepared(err)
		return
	}
	trees := e.trees()
	unpack := false
	for _, pack := range spec.Packages {
		if len(pack.SHA256) != 64 || filepath.Base(pack.SHA256) != pack.SHA256 {
			e.prepared(fmt.Errorf("package %q is not named by its SHA-256", pack.SHA256))
			return
		}
		if trees.Has(pack.SHA256) {
			continue
		}
		unpack = true
		if _, err := os.Stat(e.blobPath(pack.SHA256)); err != nil {
			e.loading.missing = append(e.loading.missing, pack)
		}
	}
	places := e.agent.settings.Places
	if !unpack && len(spec.Packages) < 3 && (places == sandbox.Bound || places == sandbox.Image) {
		e.prepared(e.arrange()) // a few links and mounts, or nothing: sooner done than handed over
		return
	}
	e.fetchNext()
}

func (e *environment) fetchNext() {
	p := e.loading
	if len(p.missing) == 0 {
		p.phases.FetchNs = loop.Now() - p.began
		p.began = loop.Now()
		var err error
		e.agent.loop.Beside(func() { err = e.unpack(p) }, func() { e.prepared(err) })
		return
	}
	digest := p.missing[0].SHA256
	file, err := os.Create(filepath.Join(e.agent.settings.Root, digest+".zip"))
	if err != nil {
		e.prepared(err)
		return
	}
	p.file = file
	body, _ := json.Marshal(map[string]string{"sha256": digest})
	e.Send(link.Append(nil, link.Fetch, 0, e.slot.Number, body))
}

// blob takes a chunk of the package that was asked for.
func (e *environment) blob(frame link.Frame) error {
	p := e.loading
	if p == nil || p.file == nil {
		return errors.New("BLOB without FETCH")
	}
	digest := p.missing[0].SHA256
	_, err := p.file.Write(frame.Body)
	if frame.Flags&link.BlobAbsent != 0 {
		err = fmt.Errorf("the gateway has no package %s", digest)
	}
	if err != nil {
		p.file.Close()
		e.prepared(err)
		return nil
	}
	if frame.Flags&link.BlobLast == 0 {
		return nil
	}
	p.fetched[digest] = p.file.Name()
	p.missing = p.missing[1:]
	err = p.file.Close()
	p.file = nil
	if err != nil {
		e.prepared(err)
		return nil
	}
	e.fetchNext()
	return nil
}

// unpack runs beside the loop and touches nothing of it.
func (e *environment) unpack(p *preparation) error {
	trees := e.trees()
	left := int64(sandbox.UnzippedBytesMax)
	for _, pack := range p.spec.Packages {
		if trees.Has(pack.SHA256) {
			continue
		}
		name, fetched := p.fetched[pack.SHA256]
		if !fetched {
			name = e.blobPath(pack.SHA256)
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		written, err := trees.Add(pack.SHA256, file, left)
		left -= written
		file.Close()
		if fetched {
			os.Remove(name)
		}
		if err != nil {
			return err
		}
	}
	return e.arrange()
}

func (e *environment) arrange() error {
	var task string
	var opts []string
	trees := e.trees()
	for _, pack := range e.loading.spec.Packages {
		if pack.Target == "opt" {
			opts = append(opts, trees.Path(pack.SHA256))
		} else {
			task = trees.Path(pack.SHA256)
		}
	}
	var err error
	settings := e.agent.settings
	e.places, err = sandbox.Arrange(settings.Root, settings.RuntimeFolder, task, opts, settings.Places)
	return err
}

func (e *environment) prepared(err error) {
	p := e.loading
	e.loading = nil
	p.phases.UnpackNs = loop.Now() - p.began
	if err == nil {
		e.slot.Prepared(loop.Now(), p.phases, nil)
		e.agent.children.settle("")
		return
	}
	errorType := sandboxError
	var invalid *sandbox.InvalidPackage
	if errors.As(err, &invalid) {
		errorType = invalidZipError
	}
	text := "the code can't be used: " + err.Error()
	complain(text)
	e.slot.Prepared(loop.Now(), p.phases, &slot.Trouble{Type: errorType, Message: err.Error()})
	e.agent.children.settle(text)
}

func (e *environment) trees() sandbox.Trees {
	return sandbox.Trees{Folder: e.agent.settings.Trees, Owner: e.agent.settings.Environment}
}

// blobPath is where a package would be if the machine shares its blobs with the agent.
func (e *environment) blobPath(digest string) string {
	if e.agent.settings.Blobs == "" {
		return ""
	}
	return filepath.Join(e.agent.settings.Blobs, digest)
}
