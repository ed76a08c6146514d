module github.com/twinreel/twinreel/ingress

go 1.26.0
