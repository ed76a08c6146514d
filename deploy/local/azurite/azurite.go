// Package azurite holds the pinned npm description of Azurite, the Azure Blob server of the one-machine stack.
//
// The lock file names no registry host, so that it installs from whichever registry npm is set up with.
package azurite

import "embed"

// Version is the pinned version, as package.json names it.
const Version = "3.37.0"

// Entry is the Blob server's program, below the folder that `npm ci` ran in.
const Entry = "node_modules/azurite/dist/src/blob/main.js"

// Files are package.json, package-lock.json and .npmrc: what `npm ci` needs.
//
//go:embed package.json package-lock.json .npmrc
var Files embed.FS
