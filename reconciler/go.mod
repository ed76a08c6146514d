module github.com/twinreel/twinreel/reconciler

go 1.26.0
