/// Ways to be wrong that the checks have to find, each put where a part of the product meets the
/// simulation.
enum Mutation: String, CaseIterable {
    /// Voters are told that they are counted before the commit.
    case answersBeforeCommit = "answers-before-commit"
    /// A ballot that is there already counts once more.
    case countsRepeats = "counts-repeats"
    /// The last tally before a close is not in what the close announces.
    case closesWithAnOldTally = "closes-with-an-old-tally"
    /// Whatever tally came last is taken for the newest.
    case believesTheLast = "believes-the-last"
    /// Ballots are stored after the close.
    case countsAfterClose = "counts-after-close"
    /// After a commit whose end is unknown, all is applied again whatever happened meanwhile.
    case appliesAgain = "applies-again"
    /// A ballot replaces another one although its voter has been told that nobody knows.
    case replacesLate = "replaces-late"
    /// Nothing is read again from the database.
    case neverRefreshes = "never-refreshes"
    /// Some ballots are never answered.
    case losesAnswers = "loses-answers"
    /// A ballot that was refused is stored all the same.
    case storesTheRefused = "stores-the-refused"
    /// Answers of one commit go to each other's voters.
    case swapsAnswers = "swaps-answers"
    /// A commit leaves the revision as it was.
    case keepsTheRevision = "keeps-the-revision"
    /// A voter is not always the same one.
    case mistakesVoters = "mistakes-voters"
    /// Nobody is told that a poll is gone.
    case hidesDeletions = "hides-deletions"
    /// Some ballots are announced and not stored.
    case losesBallots = "loses-ballots"
    /// Whoever asks for hidden counts gets them.
    case showsWhatIsHidden = "shows-what-is-hidden"
}
