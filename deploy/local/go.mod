module github.com/twinreel/twinreel/deploy/local

go 1.26.0
