"""The authentication agent (AA): admission, MPA-SAs, authorisation, and who gets which key."""
