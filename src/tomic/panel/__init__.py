"""The control panel: one live terminal application over the desk (extra ``panel``)."""
