package profile

import "github.com/twinreel/twinreel/pkg/settings"

// Config says what of a webhook is kept.
type Config struct {
	Participants Participants `env:"TWINREEL_PARTICIPANTS" envDefault:"full" meaning:"what of participants is kept: full, ids (no names) or none"`
}

// Check implements settings.Checker.
func (c *Config) Check() []settings.Problem {
	switch c.Participants {
	case ParticipantsFull, ParticipantsIDs, ParticipantsNone:
		return nil
	}
	return []settings.Problem{{Variable: "TWINREEL_PARTICIPANTS", Text: "want full, ids or none"}}
}
