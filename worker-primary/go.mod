module github.com/twinreel/twinreel/worker-primary

go 1.26.0

require github.com/twinreel/twinreel/pkg v0.0.0

replace github.com/twinreel/twinreel/pkg => ../pkg
