"""THE AIR: wpa_supplicant, hostapd, nl80211 and hwsim, as a program sees them."""
