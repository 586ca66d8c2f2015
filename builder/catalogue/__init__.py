"""A catalogue of releases as static pages: what is offered (``offers``), read (``entry``), compared (``models``), drawn
(``plot``, ``figures``), written as pages (``pages``) and put in place (``write``). Decision 21."""
