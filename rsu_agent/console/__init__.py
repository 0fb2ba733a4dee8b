"""The operator's console: one web page that shows what the unit believes, as it believes it.

    vehicles      peers as rows, coloured by trust
    refusals      which reasons for refusing were counted last
    priority      who asks to be let through
    health        controller, clock, ticket, radios, ledger: a state and a sentence each
    view          the picture of a moment, whole or as the change from the one before; sans-IO
    feed          who watches, and when there is something to tell them
    page, app     the page's one file with its content security policy, and its addresses
    open_console  all of this put together for one agent, within the unit's HTTP interface
    http_...      that interface: who may look, who may order, and over what
    bench         what it costs

Read-only: nothing here changes the unit. Orders are the operator's HTTP server's, which asks for a token.
"""
