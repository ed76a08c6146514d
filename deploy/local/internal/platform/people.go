package platform

import (
	"fmt"
	"math/rand/v2"
)

// Participant is one who took part in a call.
type Participant struct {
	ID   string `json:"id"`
	Role string `json:"role"`
	Name string `json:"name,omitempty"`
}

// castOf returns an agent and a customer, in scripts from Latin to Han; now and then a supervisor listens, or the
// customer has no name.
func castOf(r *rand.Rand) []Participant {
	agents := []string{"Jürgen Groß", "Zoë O’Brien", "Łukasz Żółć", "Ada Lovelace", "Søren Kjær", "Ngọc Trần"}
	customers := []string{"李明", "Ирина Ковалёва", "محمد علي", "Renée Dubois", "Αθηνά Ωμέγα", "José Núñez", "Tom 🎧 Field", ""}
	cast := []Participant{
		{ID: fmt.Sprintf("agent-%03d", r.IntN(400)), Role: "agent", Name: agents[r.IntN(len(agents))]},
		{ID: fmt.Sprintf("customer-%06d", r.IntN(1e6)), Role: "customer", Name: customers[r.IntN(len(customers))]},
	}
	if r.IntN(8) == 0 {
		cast = append(cast, Participant{ID: fmt.Sprintf("sup-%02d", r.IntN(20)), Role: "supervisor", Name: "Màiri Nic Dhòmhnaill"})
	}
	return cast
}

// tagsOf returns tags as a contact centre has them, some with characters that a cloud's object tags do not allow, and
// now and then more of them than a cloud allows.
func tagsOf(r *rand.Rand) map[string]string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	tags := map[string]string{
		"queue":    pick("billing", "support", "sales/renewals", "complaints"),
		"team":     pick("Café Nord", "Team-7", "night shift", "équipe b"),
		"campaign": pick("spring@2026", "win-back", "none"),
		"language": pick("de-DE", "en-GB", "fr-CA", "zh-Hans"),
	}
	if r.IntN(5) == 0 {
		tags["agent@site"] = "möbius@berlin"
		tags["compliance"] = "retain:7y"
		tags["crm.case"] = fmt.Sprintf("C-%06d", r.IntN(1e6))
		tags["disposition"] = "resolved, first call"
		tags["région"] = "Île-de-France"
	}
	return tags
}
