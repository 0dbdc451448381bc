"""Markets, the groups they form, the relations between them, and who approved those."""
